import { describe, expect, it } from "vitest";
import type { ProduceCallback } from "../../src/client/kafka-producer.ts";
import type { ProducerRecord } from "../../src/client/produced-record.ts";
import { IngestMemory } from "../../src/ingest-memory.ts";
import type { SourceRecord } from "../../src/source.ts";
import { DeadLetterCopies, type DeadLetterCopiesLimits } from "../../src/worker/dead-letter-copies.ts";
import { DeadLetters } from "../../src/worker/dead-letters.ts";
import { Reporter } from "../../src/worker/reporter.ts";

const partition = { row: 0, topic: "orders", topicId: null, partition: 3 };

/** A record with a key, a value and a header, in `bytes`. */
function recordIn(bytes: Buffer, key: string, value: string, header: string): SourceRecord {
	bytes.write(key + value + header);
	const keyEnd = key.length;
	const valueEnd = keyEnd + value.length;
	return {
		bytes,
		offset: 41,
		leaderEpoch: 0,
		timestampMs: 12_345,
		keyStart: 0,
		keyEnd,
		valueStart: keyEnd,
		valueEnd,
		header: () => undefined,
		eachHeader: (visit) => {
			visit("trace", bytes.subarray(valueEnd, valueEnd + header.length));
			visit("nothing", null);
		},
	};
}

function rig(send: (record: ProducerRecord, done: ProduceCallback) => boolean, room: () => Promise<void> = async () => {}, writes = true) {
	const memory = IngestMemory.create(1, 65_536);
	const producer = { send, room, waiting: 0 };
	const reporter = new Reporter(() => {});
	return { memory, letters: new DeadLetters({ topic: "dead", producer, memory, reporter, writes, holdMs: 1000, roomWaitMsMax: 30 }) };
}

describe("DeadLetters", () => {
	it("writes the record that it was given, though the next one has overwritten its bytes before they are sent", () => {
		const sent: ProducerRecord[] = [];
		const { letters } = rig((record) => sent.push(record) > 0);
		const reused = Buffer.alloc(64);
		letters.write(partition, recordIn(reused, "key", "value", "span"), "badChannel");
		reused.fill("X");
		const text = (bytes: string | Uint8Array | null | undefined) => Buffer.from(bytes!).toString();
		expect(text(sent[0]!.key)).toBe("key");
		expect(text(sent[0]!.value)).toBe("value");
		expect(sent[0]!.headers.map(([name, value]) => [name, text(value)])).toEqual([
			["trace", "span"],
			["nothing", ""],
			["shardcast-reason", "badChannel"],
			["shardcast-source", "orders-3-41"],
		]);
		expect(sent[0]!.timestampMs).toBe(12_345);
	});

	it("waits for room when records come faster than the topic takes them, and loses none", async () => {
		let free = 1;
		let tellRoom = () => {};
		const taken: ProducerRecord[] = [];
		const { letters, memory } = rig(
			(record, done) => {
				if (free-- <= 0) return false;
				taken.push(record);
				done(null);
				return true;
			},
			() =>
				new Promise((resolve) => {
					tellRoom = resolve;
				}),
		);
		const bytes = Buffer.alloc(64);
		expect(letters.write(partition, recordIn(bytes, "k", "1", ""), "invalidJson")).toBeNull();
		const waits = letters.write(partition, recordIn(bytes, "k", "2", ""), "invalidJson");
		expect(waits).toBeInstanceOf(Promise);
		bytes.fill("X");
		free = 1;
		tellRoom();
		await waits;
		expect(taken.map(({ value }) => Buffer.from(value!).toString())).toEqual(["1", "2"]);
		expect([memory.worker.get("deadLetters"), memory.worker.get("deadLettersLost"), memory.worker.get("pauses")]).toEqual([2, 0, 1]);
	});

	it("waits once for a topic that takes nothing, then counts what is lost until it takes some again", async () => {
		let takes = false;
		const { letters, memory } = rig(
			() => takes,
			() => new Promise(() => {}),
		);
		const record = recordIn(Buffer.alloc(64), "k", "v", "");
		await letters.write(partition, record, "tooLarge");
		expect(letters.write(partition, record, "tooLarge")).toBeNull();
		expect(memory.worker.get("deadLettersLost")).toBe(2);
		takes = true;
		expect(letters.write(partition, record, "tooLarge")).toBeNull();
		expect(memory.worker.get("deadLettersLost")).toBe(2);
		takes = false;
		expect(letters.write(partition, record, "tooLarge")).toBeInstanceOf(Promise);
	});

	it("leaves them to the shard that writes them, and writes what it holds when it takes over", () => {
		const sent: ProducerRecord[] = [];
		const { letters, memory } = rig((record) => sent.push(record) > 0, undefined, false);
		const bytes = Buffer.alloc(64);
		for (const value of ["1", "2"]) letters.write(partition, recordIn(bytes, "k", value, ""), "invalidJson");
		bytes.fill("X");
		expect(sent).toEqual([]);
		expect(memory.worker.get("deadLettersLeft")).toBe(2);
		letters.takeOver();
		letters.write(partition, recordIn(bytes, "k", "3", ""), "invalidJson");
		expect(sent.map(({ value }) => Buffer.from(value!).toString())).toEqual(["1", "2", "3"]);
	});

	it("does not write what has been a dead letter before", () => {
		const sent: ProducerRecord[] = [];
		const { letters, memory } = rig((record) => sent.push(record) > 0);
		const record = { ...recordIn(Buffer.alloc(64), "k", "v", ""), header: () => Buffer.from("tooLarge") };
		expect(letters.write(partition, record, "tooLarge")).toBeNull();
		expect([sent.length, memory.worker.get("deadLettersSeenBefore")]).toEqual([0, 1]);
	});
});

describe("DeadLetterCopies", () => {
	const letter = (value: string): ProducerRecord => ({ key: null, value: Buffer.from(value), headers: [] });
	const held = (limits: Partial<DeadLetterCopiesLimits>) => {
		const clock = { nowMs: 0 };
		return { clock, letters: new DeadLetterCopies({ lettersMax: 100, bytesMax: 10_000, ageMsMax: 1000, ...limits }, () => clock.nowMs) };
	};
	const values = (letters: DeadLetterCopies) => letters.take().map(({ value }) => Buffer.from(value!).toString());

	it("keeps the newest, up to a number and a number of bytes, and returns how many were dropped", () => {
		const byCount = held({ lettersMax: 3 }).letters;
		expect(["1", "2", "3", "4", "5"].map((value) => byCount.add(letter(value)))).toEqual([0, 0, 0, 1, 1]);
		expect(values(byCount)).toEqual(["3", "4", "5"]);
		expect(values(byCount)).toEqual([]);
		const byBytes = held({ bytesMax: 1000 }).letters;
		expect([byBytes.add(letter("a".repeat(900))), byBytes.add(letter("b".repeat(900))), byBytes.add(letter("c".repeat(2000)))]).toEqual([
			0, 1, 2,
		]);
		expect(byBytes.add(letter("d"))).toBe(0);
		expect(values(byBytes)).toEqual(["d"]);
	});

	it("forgets what is old", () => {
		const { clock, letters } = held({});
		letters.add(letter("old"));
		clock.nowMs = 600;
		letters.add(letter("young"));
		clock.nowMs = 1200;
		expect(letters.add(letter("new"))).toBe(0);
		expect(values(letters)).toEqual(["young", "new"]);
	});
});
