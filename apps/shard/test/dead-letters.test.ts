import { describe, expect, it } from "vitest";
import type { ProducerRecord } from "../src/ingest/kafka/kafka-producer.ts";
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

function rig() {
	const sent: ProducerRecord[] = [];
	const counts = new Map<string, number>();
	const letters = new DeadLetters({
		topic: "dead",
		producer: { send: (record) => sent.push(record) > 0 },
		memory: { worker: { add: (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1) } } as never,
		reporter: new Reporter(() => {}),
	});
	return { letters, sent, counts };
}

describe("DeadLetters", () => {
	it("writes the record that it was given, though the next one has overwritten its bytes before they are sent", () => {
		const { letters, sent } = rig();
		const reused = Buffer.alloc(64);
		letters.write(partition, recordIn(reused, "key", "value", "span"), "badChannel");
		reused.fill("X");
		const text = (bytes: string | Uint8Array | null | undefined) => Buffer.from(bytes!).toString();
		expect(text(sent[0]!.key)).toBe("key");
		expect(text(sent[0]!.value)).toBe("value");
		expect(text(sent[0]!.headers.trace)).toBe("span");
		expect(sent[0]!.headers).toMatchObject({ "shardcast-reason": "badChannel", "shardcast-source": "orders-3-41" });
	});
});
