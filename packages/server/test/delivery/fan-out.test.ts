import { Scoreboard } from "@shardcast/scoreboard";
import { channelList, encodeExtensions, everybody, RecordKind, RecordType, recordBytes, writeRecord } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { FanOut } from "../../src/delivery/fan-out.ts";
import { Audience, type AudienceProvider } from "../../src/hub/audience.ts";
import { Hub } from "../../src/hub/hub.ts";
import type { RawSession } from "../../src/sessions/raw/raw-session.ts";
import { SenderIds } from "../../src/sessions/sender-ids.ts";

/** The fan-out of shard 2, with one client that hears everything. */
function setup() {
	const row = Scoreboard.inMemory(1).row(0);
	const provider: AudienceProvider = {
		subscriptions: 1,
		emptied: () => {},
		reach: () => 1,
		select: (_u8, _view, _head, into) => into.push(everything),
	};
	const everything = new Audience("topic", provider);
	everything.size = 1;
	const hub = new Hub();
	hub.add(provider);
	const published: string[] = [];
	const direct: string[] = [];
	const fanOut = new FanOut({
		member: 2,
		life: 1,
		hub,
		senders: new SenderIds<RawSession>(),
		topics: {
			publish: (_topic, message) => published.push(Buffer.from(message).toString()) > 0,
			publishToOthers: (sender, topic, message, isBinary) => sender.publish(topic, message, isBinary),
		},
		logged: null,
		counters: row,
		console: { watching: false, onRecord: () => {} },
		onClientFrames: () => {},
		onGaps: () => {},
		direct: (user, payload) => {
			direct.push(`${user}: ${Buffer.from(payload).toString()}`);
			return 3;
		},
	});
	const deliver = (text: string, type: number, targetSlot: number | null, extensions = new Uint8Array(0), channels = everybody) => {
		const payload = Buffer.from(text);
		const u8 = new Uint8Array(recordBytes(channels, payload.length, extensions.length));
		const view = new DataView(u8.buffer);
		const fields = { type: type as RecordType, kind: RecordKind.text, sender: 0, senderShard: 0, publishedMs: 0, channels };
		u8.set(payload, writeRecord(view, u8, 0, { ...fields, targetSlot, extensions }));
		fanOut.deliver(0, u8, view, 0, u8.length);
	};
	return { row, published, direct, deliver, fanOut };
}

describe("the fan-out", () => {
	it("delivers publications for all shards and for this one, not those for another", () => {
		const { published, deliver, row } = setup();
		deliver("all", RecordType.publication, null);
		deliver("ours", RecordType.publication, 2);
		deliver("another's", RecordType.publication, 1);
		expect(published).toEqual(["all", "ours"]);
		expect(row.get("recordsUnknown")).toBe(0);
	});

	it("gives clients the payload of a publication and nothing of its extensions, known or not", () => {
		const { published, deliver } = setup();
		const known = encodeExtensions({ offset: 3, epoch: "e", tags: { a: "b" } });
		deliver("payload", RecordType.publication, null, Buffer.concat([known, new Uint8Array([200, 2, 0, 1, 2])]));
		expect(published).toEqual(["payload"]);
	});

	it("delivers messages to connections, to those of a user or to all, and publications with high priority", () => {
		const { published, direct, deliver, row } = setup();
		const none = new Uint8Array(0);
		deliver("one", RecordType.direct, null, none, channelList(["ann"]));
		deliver("two", RecordType.urgentDirect, null);
		deliver("three", RecordType.urgent, null);
		expect([direct, published]).toEqual([["ann: one", "null: two"], ["three"]]);
		expect(row.get("recordsUnknown")).toBe(0);
	});

	it("delivers what has high priority ahead once, and skips as many records of that ring when it reads them", () => {
		const { published, direct, fanOut } = setup();
		const record = (text: string, type: RecordType): Uint8Array => {
			const payload = Buffer.from(text);
			const bytes = new Uint8Array(recordBytes(everybody, payload.length));
			const fields = { type, kind: RecordKind.text, targetSlot: null, sender: 0, senderShard: 0, publishedMs: 0, channels: everybody };
			bytes.set(payload, writeRecord(new DataView(bytes.buffer), bytes, 0, { ...fields, extensions: new Uint8Array(0) }));
			return bytes;
		};
		const { publication, urgent, urgentDirect } = RecordType;
		/** Two rings of two shards. */
		const rings = [
			[record("a", publication), record("U", urgent), record("b", publication), record("D", urgentDirect), record("V", urgent)],
			[record("c", publication), record("W", urgent)],
		].map((records) => {
			const u8 = Buffer.concat(records);
			const ends = records.map((_, index) => records.slice(0, index + 1).reduce((sum, { length }) => sum + length, 0));
			return { u8: new Uint8Array(u8), ends };
		});
		const views = rings.map(({ u8 }) => new DataView(u8.buffer));
		const visit = (visitor: typeof fanOut.deliver, ring: number, from: number, to: number) => {
			const { u8, ends } = rings[ring]!;
			for (let index = from; index < to; index++) visitor(ring, u8, views[ring]!, index === 0 ? 0 : ends[index - 1]!, ends[index]!);
		};
		visit(fanOut.deliverAhead, 0, 0, 4);
		visit(fanOut.deliverAhead, 1, 0, 2);
		expect([published, direct]).toEqual([["U", "W"], ["null: D"]]);
		// The last one of the first ring was written later.
		visit(fanOut.deliver, 0, 0, 5);
		visit(fanOut.deliver, 1, 0, 2);
		expect([published, direct]).toEqual([["U", "W", "a", "b", "V", "c"], ["null: D"]]);
		visit(fanOut.deliver, 0, 1, 2);
		expect(published.at(-1), "the next lap of the ring").toBe("U");
	});

	it("skips and counts unknown records: no client gets them", () => {
		const { published, deliver, row } = setup();
		const known: readonly number[] = [RecordType.publication, RecordType.urgent, RecordType.direct, RecordType.urgentDirect];
		for (const type of [...Object.values(RecordType).filter((type) => !known.includes(type)), 0, 99, 255])
			deliver("not for clients", type, null);
		deliver("frames for another shard", RecordType.clientFrames, 1);
		expect(published).toEqual([]);
		expect(row.get("recordsUnknown")).toBe(6);
	});
});
