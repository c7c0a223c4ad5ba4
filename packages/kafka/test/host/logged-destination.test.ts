import { ChannelLog, type HistoryLimits } from "@shardcast/channel-log";
import {
	BusRecord,
	ChannelEntry,
	channelList,
	createRecordHead,
	everybody,
	nextChannelEntry,
	RecordKind,
	RecordType,
	readRecordHead,
	recordBytes,
	setSenderShard,
	writeRecordHead,
} from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import type { Destination } from "../../src/host/destination.ts";
import { LoggedDestination } from "../../src/host/logged-destination.ts";

const kept: HistoryLimits = { size: 100, ttlMs: 60_000, metaTtlMs: 600_000 };
const partition = { row: 3, topic: "orders", topicId: "id-1", partition: 0 };
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** A shard whose channels "h…" keep a history. */
class Shard {
	readonly delivered: string[] = [];
	readonly refused: string[] = [];
	settled = 0;
	/** The inner destination has no room. */
	isFull = false;
	isUsed = true;
	readonly destination: LoggedDestination;

	constructor(log: Pick<ChannelLog, "feed">) {
		const inner: Destination = {
			mayBeFull: false,
			take: (_row, _position, u8, view, start, end) => {
				if (this.isFull) return false;
				const head = createRecordHead();
				readRecordHead(view, start, end, head);
				const names: string[] = [];
				// A search in the bytes would now and then find a name in the channels' hashes, whose key is random.
				for (let at = head.channelsStart; names.length < head.channelCount; ) {
					const next = nextChannelEntry(u8, at);
					names.push(text(u8.slice(at + ChannelEntry.nameOffset, next)));
					at = next;
				}
				const kind = head.type === RecordType.publication ? "" : `type ${head.type} `;
				this.delivered.push(
					`${kind}${names.length}${names.length > 0 ? ` ${names.join()}` : ""}: ${text(u8.slice(head.payloadStart, end))}`,
				);
				return true;
			},
			settled: () => this.settled++,
		};
		this.destination = new LoggedDestination({
			inner,
			history: { log, isUsed: () => this.isUsed, limitsOf: (name) => (name.startsWith("h") ? kept : null) },
			onTooLarge: (error) => this.refused.push(error.message),
		});
		this.destination.assigned(partition);
	}

	take(
		offset: number,
		names: readonly string[],
		payload = `k${offset}`,
		{ sender = 0, life = 0, type = RecordType.publication as RecordType } = {},
	): boolean {
		const channels = names.length === 0 ? everybody : channelList(names);
		const data = Buffer.from(payload);
		// It lies somewhere in a ring.
		const u8 = new Uint8Array(new SharedArrayBuffer(recordBytes(channels, data.length) + 40));
		const view = new DataView(u8.buffer);
		const at = writeRecordHead(view, u8, 24, RecordKind.text, sender, 0, channels);
		view.setUint8(24 + BusRecord.typeOffset, type);
		if (life !== 0) setSenderShard(view, 24, life);
		u8.set(data, at);
		const taken = this.destination.take(partition.row, offset + 1, u8, view, 24, at + data.length, () => {}, 0);
		if (taken) this.destination.settled();
		return taken;
	}
}

function history(log: ChannelLog, channel: string): string[] {
	return log.history(channel)!.publications.map(({ offset, data }) => `${offset}:${text(data)}`);
}

describe("records from Kafka for channels with a history", () => {
	it("go into the channel's log, once for all shards that read them; others go on as before", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
		const [one, other] = [new Shard(log), new Shard(log)];
		for (const shard of [one, other])
			for (const [offset, names] of [
				[4, ["h1"]],
				[5, ["p1"]],
				[6, []],
				[7, ["h1"]],
			] as const)
				expect(shard.take(offset, names)).toBe(true);
		expect(history(log, "h1")).toEqual(["5:k4", "8:k7"]);
		for (const shard of [one, other]) {
			expect(shard.delivered).toEqual(["1 p1: k5", "0: k6"]);
			expect(shard.settled).toBe(2);
		}
	});

	it("a message to a user whose id is the name of such a channel does not go there; a priority stays with the rest of a record", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
		const shard = new Shard(log);
		for (const type of [RecordType.direct, RecordType.urgentDirect]) shard.take(type, ["h1"], "to a user", { type });
		shard.take(20, ["p1", "h1"], "to both", { type: RecordType.urgent });
		expect(shard.delivered).toEqual(["type 10 1 h1: to a user", "type 12 1 h1: to a user", "type 11 1 p1: to both"]);
		expect(history(log, "h1")).toEqual(["21:to both"]);
	});

	it("a record for several channels becomes one for each with a history, and one for all others", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
		const [one, other] = [new Shard(log), new Shard(log)];
		for (const shard of [one, other]) shard.take(4, ["p1", "h1", "h2", "p2"]);
		expect([history(log, "h1"), history(log, "h2")]).toEqual([["5:k4"], ["5:k4"]]);
		for (const shard of [one, other]) expect(shard.delivered).toEqual(["2 p1,p2: k4"]);
	});

	it("wait when a log or the bus has no room, and are then appended and delivered once", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
		let locked = 1;
		const shard = new Shard({ feed: (...args) => (locked-- > 0 ? "locked" : log.feed(...args)) });
		expect(shard.destination.mayBeFull).toBe(true);
		expect(shard.take(4, ["h1", "p1"])).toBe(false);
		shard.isFull = true;
		expect(shard.take(4, ["h1", "p1"])).toBe(false);
		expect(shard.delivered).toEqual([]);
		shard.isFull = false;
		expect(shard.take(4, ["h1", "p1"])).toBe(true);
		expect(history(log, "h1")).toEqual(["5:k4"]);
		expect(shard.delivered).toEqual(["1 p1: k4"]);
	});

	it("one that is longer than a log takes is told of, and does not hold up the rest", () => {
		const log = ChannelLog.inMemory({ memoryBytes: 2 ** 20 });
		const shard = new Shard(log);
		expect(shard.take(4, ["h1"], "x".repeat(200_000))).toBe(true);
		expect(shard.take(5, ["h1"])).toBe(true);
		expect(shard.refused).toHaveLength(1);
		expect(history(log, "h1")).toEqual(["6:k5"]);
	});

	it("one that a raw client sent says so, that it does not get it back", () => {
		const senders: unknown[] = [];
		const shard = new Shard({
			feed: (_name, _data, { sender }) => {
				senders.push(sender && { ...sender });
				return "published";
			},
		});
		shard.take(4, ["h1"], "x", { sender: 9, life: 77 });
		shard.take(5, ["h1"]);
		expect(senders).toEqual([{ id: 9, life: 77 }, undefined]);
	});

	it("where no channel keeps a history nobody looks at them", () => {
		const shard = new Shard({ feed: () => "locked" });
		shard.isUsed = false;
		expect(shard.destination.mayBeFull).toBe(false);
		expect(shard.take(4, ["h1"])).toBe(true);
		expect(shard.delivered).toEqual(["1 h1: k4"]);
	});
});
