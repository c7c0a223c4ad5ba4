import { MemoryBus } from "@shardcast/bus";
import { Scoreboard } from "@shardcast/scoreboard";
import { channelList, createRecordHead, everybody, publishAccepted, RecordKind, RecordType, readRecordHead } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { HeldFrames } from "../../src/delivery/incoming/held-frames.ts";
import { Publisher } from "../../src/delivery/publishing/publisher.ts";

function setup(capacityBytes = 8192) {
	const bus = new MemoryBus({ members: 2, capacityBytes });
	const link = bus.link(0);
	const slow = bus.link(1);
	const row = Scoreboard.inMemory(1).row(0);
	const held = new HeldFrames({ bytesMax: 100_000, clientBytesMax: 50_000 });
	let commits = 0;
	let urgent = 0;
	const relayed: string[] = [];
	const relay = (record: Uint8Array, isUrgent: boolean) => void relayed.push(`${record[0]} ${isUrgent}`);
	const publisher = new Publisher({
		ring: link,
		held,
		counters: row,
		onCommit: () => commits++,
		hurry: () => {},
		onUrgent: () => urgent++,
		relay,
	});
	const head = createRecordHead();
	const read = (from = link): string[] => {
		const texts: string[] = [];
		from.read(10_000, (_origin, u8, view, start, end) => {
			readRecordHead(view, start, end, head);
			texts.push(`${head.sender}:${Buffer.from(u8.subarray(head.payloadStart, head.payloadEnd)).toString()}`);
		});
		return texts;
	};
	return { link, slow, row, held, publisher, read, relayed, commits: () => commits, urgent: () => urgent };
}

describe("the publisher", () => {
	it("writes head and payload into the ring itself, and wakes its readers", () => {
		const { publisher, read, row, commits } = setup();
		expect(publisher.publish(RecordKind.text, 7, channelList(["a"]), Buffer.from("hello"))).toEqual({ outcome: "accepted" });
		expect(read()).toEqual(["7:hello"]);
		expect(commits()).toBe(1);
		expect(row.get("messagesIn")).toBe(1);
		expect(row.get("bytesIn")).toBe(5);
	});

	it("sends messages to connections, and tells other nodes and its own reader which have high priority", () => {
		const { publisher, read, relayed, urgent, row } = setup();
		const payload = Buffer.from("x");
		const direct = { user: "ann", payload, urgent: false, nodeOnly: false };
		expect(publisher.direct(direct)).toBe(publishAccepted);
		expect(publisher.direct({ ...direct, user: null, urgent: true })).toBe(publishAccepted);
		expect(publisher.direct({ ...direct, nodeOnly: true })).toBe(publishAccepted);
		expect(urgent()).toBe(1);
		publisher.publish(RecordKind.text, 0, everybody, payload, { urgent: true });
		publisher.publish(RecordKind.text, 0, everybody, payload, {});
		publisher.publish(RecordKind.text, 0, everybody, payload);
		expect(relayed).toEqual(["10 false", "12 true", "11 true", "1 false", "1 false"]);
		expect(urgent()).toBe(2);
		expect(read()).toHaveLength(6);
		expect(row.get("messagesIn")).toBe(6);
	});

	it("high priority goes before the messages that are held, if it finds room", () => {
		const { publisher, read, slow, held } = setup();
		const payload = Buffer.alloc(200, "x");
		while (publisher.publish(RecordKind.text, 1, everybody, payload) === publishAccepted);
		expect(publisher.publish(RecordKind.text, 1, everybody, payload, { urgent: true }), "the ring is full").toEqual({ outcome: "full" });
		expect(publisher.publishOrHold(RecordKind.text, 1, everybody, payload)).toBe(publishAccepted);
		read();
		read(slow);
		expect(held.count).toBe(1);
		expect(publisher.publish(RecordKind.text, 1, everybody, payload)).toEqual({ outcome: "full" });
		expect(publisher.publish(RecordKind.text, 2, everybody, Buffer.from("first"), { urgent: true })).toBe(publishAccepted);
		expect(publisher.direct({ user: null, payload: Buffer.from("second"), urgent: true, nodeOnly: false })).toBe(publishAccepted);
		publisher.retry();
		expect(read().map((text) => text.slice(0, 10))).toEqual(["2:first", "0:second", "1:xxxxxxxx"]);
	});

	it("holds clients' messages while the ring is full and keeps the order of each, and refuses others until these are published", () => {
		const { publisher, read, slow, row, held: waiting } = setup();
		let sent = 0;
		const payload = () => Buffer.from(`${sent++}`.padEnd(200, "."));
		while (publisher.publish(RecordKind.text, 1, everybody, payload()) === publishAccepted);
		const held = sent - 1;
		sent--;
		expect(publisher.publishOrHold(RecordKind.text, 1, everybody, payload())).toBe(publishAccepted);
		expect(publisher.publishOrHold(RecordKind.text, 1, everybody, payload())).toBe(publishAccepted);
		expect(waiting.count).toBe(2);
		expect(row.get("backpressured")).toBe(3);

		expect(read().length).toBe(held);
		publisher.retry();
		expect(waiting.count, "the other member has not read yet").toBe(2);
		// There is room for a small record, but it would overtake what is held.
		expect(publisher.publish(RecordKind.text, 2, everybody, Buffer.from("small"))).toEqual({ outcome: "full" });
		read(slow);
		publisher.retry();
		expect(waiting.count).toBe(0);
		const late = read().map((entry) => Number(entry.split(":")[1].replaceAll(".", "")));
		expect(late).toEqual([held, held + 1]);
		expect(row.get("messagesIn")).toBe(sent);
	});

	it("announces behind held messages, and refuses when it can hold no more", () => {
		const { publisher, read, slow, held: waiting } = setup();
		const info = Buffer.from("ann");
		const announce = (name: string) => publisher.announce(RecordType.join, channelList([name]), info);
		expect(announce("a")).toBe(true);
		while (publisher.publish(RecordKind.text, 1, everybody, Buffer.from(".".repeat(200))) === publishAccepted);
		publisher.publishOrHold(RecordKind.text, 1, everybody, Buffer.from("held"));
		expect(announce("a")).toBe(true);
		expect(waiting.count).toBe(2);
		const before = read();
		expect(before[0]).toBe("0:ann");
		read(slow);
		publisher.retry();
		expect(read()).toEqual(["1:held", "0:ann"]);
		while (publisher.publish(RecordKind.text, 1, everybody, Buffer.from(".".repeat(200))) === publishAccepted);
		let announced = 0;
		while (announce("a")) announced++;
		expect(announced).toBeGreaterThan(100);
		expect(waiting.bytes).toBeLessThanOrEqual(50_000);
	});

	it("copies what it holds: the socket's bytes are not valid after its callback", () => {
		const { publisher, read, slow } = setup();
		while (publisher.publish(RecordKind.binary, 1, everybody, Buffer.alloc(500)) === publishAccepted);
		publisher.publishOrHold(RecordKind.binary, 1, everybody, Buffer.alloc(500));
		const bytes = Buffer.from("mine");
		publisher.publishOrHold(RecordKind.binary, 1, everybody, bytes);
		bytes.fill("X");
		read();
		read(slow);
		publisher.retry();
		expect(read().at(-1)).toBe("1:mine");
	});
});
