import type { IngestMemory } from "../ingest-memory.ts";
import type { KafkaProducer } from "../kafka/kafka-producer.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";
import type { Refusal } from "./record-router.ts";
import type { Reporter } from "./reporter.ts";

export interface DeadLetterParts {
	readonly topic: string;
	readonly producer: Pick<KafkaProducer, "send">;
	readonly memory: IngestMemory;
	readonly reporter: Reporter;
}

/**
 * Writes records that could not be delivered to a topic of their own, as they were, with headers that tell where they came from
 * and why. When that topic cannot take them as fast as they come, they are counted as lost: bad records must not hold up good ones.
 */
export class DeadLetters {
	readonly #parts: DeadLetterParts;

	constructor(parts: DeadLetterParts) {
		this.#parts = parts;
	}

	readonly write = (partition: SourcePartition, record: SourceRecord, reason: Refusal): void => {
		const { topic, producer } = this.#parts;
		// Copies: the record's bytes are only good within this call.
		const headers: Record<string, string | Uint8Array> = {};
		record.eachHeader((name, value) => {
			if (value !== null) headers[name] = new Uint8Array(value);
		});
		headers["shardcast-reason"] = reason;
		headers["shardcast-source"] = `${partition.topic}-${partition.partition}-${record.offset}`;
		const key = record.keyStart < 0 ? null : new Uint8Array(record.bytes.subarray(record.keyStart, record.keyEnd));
		const value = record.valueStart < 0 ? null : new Uint8Array(record.bytes.subarray(record.valueStart, record.valueEnd));
		const sent = producer.send({ topic, key, value, headers }, this.#done);
		if (!sent) this.#lost("the queue is full");
	};

	readonly #done = (error: string | null): void => {
		if (error === null) this.#parts.memory.worker.add("deadLetters");
		else this.#lost(error);
	};

	#lost(error: string): void {
		const { memory, reporter, topic } = this.#parts;
		memory.worker.add("deadLettersLost");
		reporter.warn("deadLettersLost", `a record could not be written to ${topic}: ${error}`);
	}
}
