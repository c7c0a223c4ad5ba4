import { describe, expect, it } from "vitest";
import { IngestMemory } from "../src/ingest/ingest-memory.ts";
import type { Produced } from "../src/ingest/kafka/kafka-producer.ts";
import type { ProducerRecord } from "../src/ingest/kafka/produced-record.ts";
import type { SourceRecord } from "../src/ingest/source.ts";
import { DeadLetters } from "../src/ingest/worker/dead-letters.ts";
import { Reporter } from "../src/ingest/worker/reporter.ts";

const partition = { row: 0, topic: "orders", topicId: null, partition: 3 };

/** A record with a key, a value and a header, in `bytes`. */
function recordIn(bytes: Buffer, key: string, value: string, header: string): SourceRecord {
	bytes.write(key + value + header);
	const keyEnd = key.length;
	const valueEnd = keyEnd + value.length;
	return {
		bytes,
		offset: 41,
		timestampMs: 0,
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

function rig(send: (record: ProducerRecord, done: Produced) => boolean, room: () => Promise<void> = async () => {}) {
	const memory = IngestMemory.create(1, 65_536);
	const producer = { send, room, waiting: 0 };
	return { memory, letters: new DeadLetters({ topic: "dead", producer, memory, reporter: new Reporter(() => {}), roomWaitMsMax: 30 }) };
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
		expect(text(sent[0]!.headers.trace)).toBe("span");
		expect(sent[0]!.headers).toMatchObject({ "shardcast-reason": "badChannel", "shardcast-source": "orders-3-41" });
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
});
