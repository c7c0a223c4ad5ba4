import type { KafkaProducer } from "../client/kafka-producer.ts";
import type { ProducedHeader, ProducerRecord } from "../client/produced-record.ts";
import type { IngestMemory } from "../ingest-memory.ts";
import type { SourcePartition, SourceRecord } from "../source.ts";
import { DeadLetterCopies } from "./dead-letter-copies.ts";
import { LetterHeader } from "./message-headers.ts";
import type { Refusal } from "./record-router.ts";
import type { Reporter } from "./reporter.ts";

interface DeadLetterParts {
	readonly topic: string;
	readonly producer: Pick<KafkaProducer, "send" | "room" | "waiting">;
	readonly memory: Pick<IngestMemory, "worker">;
	readonly reporter: Reporter;
	/** False when another shard reads the same records and writes them. Then this one keeps copies. */
	readonly writes: boolean;
	/** How long copies are kept. */
	readonly holdMs: number;
	readonly roomWaitMsMax?: number;
}

/** How long reading waits for a dead-letter topic that accepts nothing. */
const roomWaitMsMax = 5000;
const queueFull = "the queue is full";
const heldMax = { lettersMax: 5000, bytesMax: 4 * 1024 * 1024 };

/**
 * Writes records that could not be delivered to a separate topic: unchanged key, value, timestamp and headers (a null header becomes
 * empty), plus headers with source and reason. If the topic is too slow, reading waits. If it accepts nothing for five seconds, dead letters
 * are counted as lost until it accepts one again.
 *
 * In per-shard mode one shard writes the dead letters. The others keep copies for a while, and if that shard dies, its successor writes
 * them: a letter may be written twice, but is not lost. A record that is a dead letter already is not written again; otherwise two
 * clusters that read each other's dead letters would never stop.
 */
export class DeadLetters {
	readonly #parts: DeadLetterParts;
	readonly #roomWaitMsMax: number;
	readonly #held: DeadLetterCopies;
	#writes: boolean;
	/** The topic accepted nothing for the longest wait. */
	#gaveUp = false;

	constructor(parts: DeadLetterParts) {
		this.#parts = parts;
		this.#roomWaitMsMax = parts.roomWaitMsMax ?? roomWaitMsMax;
		this.#held = new DeadLetterCopies({ ...heldMax, ageMsMax: parts.holdMs });
		this.#writes = parts.writes;
	}

	/** Makes this shard the writer. Writes its copies first. */
	takeOver(): void {
		this.#writes = true;
		for (const letter of this.#held.take()) if (!this.#send(letter)) this.#lost(queueFull);
	}

	/** Copies the record and writes it. Returns a promise when reading must wait for room. */
	readonly write = (partition: SourcePartition, record: SourceRecord, reason: Refusal): Promise<void> | null => {
		const { worker } = this.#parts.memory;
		if (partition.followed === true) {
			worker.add("deadLettersLeft");
			return null;
		}
		if (record.header(LetterHeader.reason) !== undefined) {
			worker.add("deadLettersSeenBefore");
			return null;
		}
		const letter = letterOf(partition, record, reason);
		if (!this.#writes) {
			worker.add("deadLettersLeft");
			worker.add("deadLetterCopiesDropped", this.#held.add(letter));
			return null;
		}
		if (this.#send(letter)) return null;
		if (!this.#gaveUp) return this.#whenRoom(letter);
		this.#lost(queueFull);
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
		this.#lost(queueFull);
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

	/** Publishes the number of letters that are lost if this thread is killed. */
	#noteWaiting(): void {
		this.#parts.memory.worker.set("deadLettersWaiting", this.#parts.producer.waiting);
	}

	#lost(error: string): void {
		const { memory, reporter, topic } = this.#parts;
		memory.worker.add("deadLettersLost");
		reporter.warn("deadLettersLost", `could not write a record to ${topic}: ${error}`);
	}
}

/** Copies the record, whose bytes are valid only during the call. */
function letterOf(partition: SourcePartition, record: SourceRecord, reason: Refusal): ProducerRecord {
	const headers: ProducedHeader[] = [];
	// kafkajs cannot write a header that is null.
	record.eachHeader((name, value) => headers.push([name, value === null ? "" : new Uint8Array(value)]));
	headers.push([LetterHeader.reason, reason]);
	headers.push([LetterHeader.source, `${partition.topic}-${partition.partition}-${record.offset}`]);
	const { bytes, keyStart, keyEnd, valueStart, valueEnd, timestampMs } = record;
	return {
		key: keyStart < 0 ? null : new Uint8Array(bytes.subarray(keyStart, keyEnd)),
		value: valueStart < 0 ? null : new Uint8Array(bytes.subarray(valueStart, valueEnd)),
		headers,
		timestampMs,
	};
}
