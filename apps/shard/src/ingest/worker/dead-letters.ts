import type { IngestMemory } from "../ingest-memory.ts";
import type { KafkaProducer } from "../kafka/kafka-producer.ts";
import type { ProducerRecord } from "../kafka/produced-record.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";
import type { Refusal } from "./record-router.ts";
import type { Reporter } from "./reporter.ts";

export interface DeadLetterParts {
	readonly topic: string;
	readonly producer: Pick<KafkaProducer, "send" | "room" | "waiting">;
	readonly memory: Pick<IngestMemory, "worker">;
	readonly reporter: Reporter;
	readonly roomWaitMsMax?: number;
}

/** How long reading waits for a dead-letter topic that takes nothing. */
const roomWaitMsMax = 5000;

/**
 * Writes records that could not be delivered to a topic of their own, as they were, with headers that tell where they came from
 * and why. When they come faster than the topic takes them, reading waits; a topic that takes nothing holds reading up for five
 * seconds, and from then on, until it takes some again, they are counted as lost.
 */
export class DeadLetters {
	readonly #parts: DeadLetterParts;
	readonly #roomWaitMsMax: number;
	/** It took nothing for as long as we wait. */
	#gaveUp = false;

	constructor(parts: DeadLetterParts) {
		this.#parts = parts;
		this.#roomWaitMsMax = parts.roomWaitMsMax ?? roomWaitMsMax;
	}

	/** A promise when there is no room now; the record's bytes are copied already. */
	readonly write = (partition: SourcePartition, record: SourceRecord, reason: Refusal): Promise<void> | null => {
		const letter = letterOf(partition, record, reason);
		if (this.#send(letter)) return null;
		if (!this.#gaveUp) return this.#whenRoom(letter);
		this.#lost("the queue is full");
		return null;
	};

	async #whenRoom(letter: ProducerRecord): Promise<void> {
		const { producer, memory } = this.#parts;
		const beganMs = performance.now();
		memory.worker.add("pauses");
		let timer: NodeJS.Timeout | undefined;
		const tooLong = new Promise((resolve) => {
			timer = setTimeout(resolve, this.#roomWaitMsMax);
		});
		await Promise.race([producer.room(), tooLong]);
		clearTimeout(timer);
		memory.worker.add("pausedMs", performance.now() - beganMs);
		if (this.#send(letter)) return;
		this.#gaveUp = true;
		this.#lost("the queue is full");
	}

	#send(letter: ProducerRecord): boolean {
		const sent = this.#parts.producer.send(letter, this.#done);
		if (sent) this.#gaveUp = false;
		this.#noteWaiting();
		return sent;
	}

	readonly #done = (error: string | null): void => {
		if (error === null) this.#parts.memory.worker.add("deadLetters");
		else this.#lost(error);
		this.#noteWaiting();
	};

	/** What dies with this thread, should it be killed. */
	#noteWaiting(): void {
		this.#parts.memory.worker.set("deadLettersWaiting", this.#parts.producer.waiting);
	}

	#lost(error: string): void {
		const { memory, reporter, topic } = this.#parts;
		memory.worker.add("deadLettersLost");
		reporter.warn("deadLettersLost", `a record could not be written to ${topic}: ${error}`);
	}
}

/** Copies: the record's bytes are only good within this call. */
function letterOf(partition: SourcePartition, record: SourceRecord, reason: Refusal): ProducerRecord {
	const headers: Record<string, string | Uint8Array> = {};
	record.eachHeader((name, value) => {
		if (value !== null) headers[name] = new Uint8Array(value);
	});
	headers["shardcast-reason"] = reason;
	headers["shardcast-source"] = `${partition.topic}-${partition.partition}-${record.offset}`;
	const { bytes, keyStart, keyEnd, valueStart, valueEnd } = record;
	return {
		key: keyStart < 0 ? null : new Uint8Array(bytes.subarray(keyStart, keyEnd)),
		value: valueStart < 0 ? null : new Uint8Array(bytes.subarray(valueStart, valueEnd)),
		headers,
	};
}
