import { monotonicMs } from "@shardcast/wire";
import type { Message, Producer } from "kafkajs";
import type { KafkaConnectionOptions } from "./connection-options.ts";
import { createKafka, innermost } from "./kafkajs-cluster.ts";

/** What is written to a topic. Records of one key go to one partition, in order. Its bytes stay as they are until it is settled. */
export interface ProducerRecord {
	readonly topic: string;
	readonly key: Uint8Array | string | null;
	readonly value: Uint8Array | null;
	readonly headers: Readonly<Record<string, string | Uint8Array>>;
	/** By `monotonicMs`: what has not been begun to be written by then is not written any more. */
	readonly expiresAtMs?: number;
}

/** Called once with null when the broker has acknowledged the record, or with why it will not be written. */
export type Produced = (error: string | null) => void;

export interface KafkaProducerOptions {
	readonly connection: KafkaConnectionOptions;
	/** Most records that wait or are under way. */
	readonly recordsMax: number;
	readonly bytesMax: number;
}

interface Waiting {
	readonly record: ProducerRecord;
	readonly done: Produced;
	readonly bytes: number;
}

const batchRecordsMax = 1000;
const allInSync = -1;
/** A broker that takes longer over a request, its replicas included, counts as away. */
const requestTimeoutMs = 5000;
const expired = "too late: those before it took too long";
/** Ten seconds in all: 0.1 + 0.2 + 0.4 + 0.8 + 8 × 1. */
const retry = { initialRetryTime: 100, multiplier: 2, factor: 0, maxRetryTime: 1000, retries: 12 };

/**
 * Writes records, idempotent and acknowledged by all replicas in sync. While one batch is under way the next one gathers, so the
 * batches grow with the load and an idle producer adds no delay. **Used by one thread.**
 *
 * Bound: `recordsMax` and `bytesMax`; beyond them `send` says false and the caller refuses its own caller. A batch is tried again
 * by kafkajs alone, which knows what of it the broker has and repeats the rest under the same sequence numbers. When it gives up
 * (after some ten seconds) the senders get an error, though the broker may have the records: as with any timeout. The next
 * batch then goes out under a new producer id, since the old one's sequence is uncertain.
 */
export class KafkaProducer {
	readonly #options: KafkaProducerOptions;
	#producer: Producer | null = null;
	#waiting: Waiting[] = [];
	#records = 0;
	#bytes = 0;
	#running: Promise<void> | null = null;
	#closing = false;

	constructor(options: KafkaProducerOptions) {
		this.#options = options;
	}

	/** False when the queue is full, or the producer is closing. */
	send(record: ProducerRecord, done: Produced): boolean {
		const bytes = (record.value?.length ?? 0) + (record.key?.length ?? 0);
		if (this.#closing || this.#records >= this.#options.recordsMax || this.#bytes + bytes > this.#options.bytesMax) return false;
		this.#records++;
		this.#bytes += bytes;
		this.#waiting.push({ record, done, bytes });
		this.#running ??= this.#run().finally(() => {
			this.#running = null;
		});
		return true;
	}

	/** Waits for what is queued to be acknowledged or given up. */
	async close(): Promise<void> {
		this.#closing = true;
		await this.#running;
		await this.#producer?.disconnect();
	}

	async #run(): Promise<void> {
		// A turn of the loop, so that what is sent together goes together.
		await new Promise((resolve) => setImmediate(resolve));
		while (this.#waiting.length > 0) {
			const next = this.#waiting.splice(0, batchRecordsMax);
			const nowMs = monotonicMs();
			const isLate = ({ record }: Waiting) => (record.expiresAtMs ?? Number.POSITIVE_INFINITY) <= nowMs;
			this.#settle(next.filter(isLate), expired);
			const batch = next.filter((waiting) => !isLate(waiting));
			if (batch.length > 0) this.#settle(batch, await this.#sendBatch(batch));
		}
	}

	#settle(batch: readonly Waiting[], error: string | null): void {
		for (const { done, bytes } of batch) {
			this.#records--;
			this.#bytes -= bytes;
			done(error);
		}
	}

	/** Null or what went wrong. */
	async #sendBatch(batch: readonly Waiting[]): Promise<string | null> {
		const topicMessages = new Map<string, Message[]>();
		for (const { record } of batch) {
			const { topic, key, value, headers } = record;
			let messages = topicMessages.get(topic);
			if (messages === undefined) {
				messages = [];
				topicMessages.set(topic, messages);
			}
			messages.push({
				key: key instanceof Uint8Array ? asBuffer(key) : key,
				value: value === null ? null : asBuffer(value),
				headers: Object.fromEntries(
					Object.entries(headers).map(([name, header]) => [name, typeof header === "string" ? header : asBuffer(header)]),
				),
			});
		}
		try {
			this.#producer ??= await this.#connect();
			await this.#producer.sendBatch({
				acks: allInSync,
				timeout: requestTimeoutMs,
				topicMessages: [...topicMessages].map(([topic, messages]) => ({ topic, messages })),
			});
			return null;
		} catch (error) {
			const failed = this.#producer;
			this.#producer = null;
			await failed?.disconnect().catch(() => undefined);
			return innermost(error).message;
		}
	}

	async #connect(): Promise<Producer> {
		process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
		const producer = createKafka(this.#options.connection, { requestTimeout: requestTimeoutMs }).producer({
			idempotent: true,
			// More than one would let a repeated batch be overtaken by the one after it.
			maxInFlightRequests: 1,
			allowAutoTopicCreation: false,
			metadataMaxAge: 30_000,
			retry,
		});
		await producer.connect();
		return producer;
	}
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
