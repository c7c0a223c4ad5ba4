import { monotonicMs } from "@shardcast/wire";
import { rootCause } from "./kafkajs-cluster.ts";
import { batchHeadBytes, contentBytes, type ProducerRecord, producedBytes } from "./produced-record.ts";
import { isTooLarge, type ProducerLink } from "./producer-link.ts";

/** Called once: with null when the brokers have acknowledged the record, otherwise with an error text. */
export type ProduceCallback = (error: string | null) => void;

interface KafkaProducerOptions {
	readonly topic: string;
	/** Opens a connection. Called again after a batch has failed. */
	readonly connect: () => Promise<ProducerLink>;
	/** Most records in the queue or in flight. */
	readonly recordsMax: number;
	/** Most bytes of these records, keys and headers included. A single longer record is accepted if the queue is empty. */
	readonly bytesMax: number;
}

interface Waiting {
	readonly record: ProducerRecord;
	readonly done: ProduceCallback;
	readonly bytes: number;
}

const batchRecordsMax = 1000;
/** Kafka's default for the largest batch (`message.max.bytes`): 1 MiB plus the batch overhead. */
const brokerDefaultBytes = 1024 * 1024 + 12;
/** Batches are never larger than this, even if the topic allows it: larger ones would only add delay. */
const batchBytesMax = brokerDefaultBytes;
const expired = "it expired while it waited for the messages before it";

/**
 * Writes records to one topic, idempotently and with acks from all in-sync replicas. While a batch is in flight, the next one
 * fills up: batches grow with the load, and an idle producer adds no delay. **Used by one thread.**
 *
 * Bound: `recordsMax` and `bytesMax`. Beyond them `send` returns false; the caller then refuses the record or waits for `room`. A batch
 * has at most 1,000 records, and fits the topic's limit even if all of it goes to one partition. A record that is too large fails alone.
 *
 * Only kafkajs retries a batch: it knows which part the brokers have, and repeats the rest under the same sequence numbers. When it gives
 * up after about ten seconds, the senders get an error, although the brokers may have the records, as with any timeout. The next batch
 * uses a new producer id, since the sequence numbers of the old one are uncertain.
 */
export class KafkaProducer {
	readonly #options: KafkaProducerOptions;
	#link: ProducerLink | null = null;
	#waiting: Waiting[] = [];
	#records = 0;
	#bytes = 0;
	/** Current limit for batches: the topic's, or less after a batch was too large. */
	#batchBytesMax = batchBytesMax;
	#running: Promise<void> | null = null;
	#whenRoom: (() => void)[] = [];
	#closing = false;

	constructor(options: KafkaProducerOptions) {
		this.#options = options;
	}

	/** Records in the queue or in flight. */
	get waiting(): number {
		return this.#records;
	}

	/** Queues a record. False when the queue is full or the producer is closing; then `done` is not called. */
	send(record: ProducerRecord, done: ProduceCallback): boolean {
		const bytes = producedBytes(record);
		const isFull = this.#records > 0 && (this.#records >= this.#options.recordsMax || this.#bytes + bytes > this.#options.bytesMax);
		if (this.#closing || isFull) return false;
		this.#records++;
		this.#bytes += bytes;
		this.#waiting.push({ record, done, bytes });
		this.#start();
		return true;
	}

	/** Resolves when half of the queue is free or the producer is closing. */
	room(): Promise<void> {
		if (this.#hasRoom()) return Promise.resolve();
		return new Promise((resolve) => this.#whenRoom.push(resolve));
	}

	/** Waits until all queued records are acknowledged or have failed, then disconnects. */
	async close(): Promise<void> {
		this.#closing = true;
		this.#notifyRoom();
		while (this.#running !== null) await this.#running;
		await this.#link?.close();
	}

	#start(): void {
		this.#running ??= this.#run().finally(() => {
			this.#running = null;
			// Records sent since the last check.
			if (this.#waiting.length > 0) this.#start();
		});
	}

	async #run(): Promise<void> {
		// Wait for one turn of the loop, so that records sent together share a batch.
		await new Promise((resolve) => setImmediate(resolve));
		while (this.#waiting.length > 0) {
			const connected = await this.#connect();
			const next = this.#takeBatch();
			const nowMs = monotonicMs();
			const isLate = ({ record }: Waiting) => (record.expiresAtMs ?? Number.POSITIVE_INFINITY) <= nowMs;
			this.#settle(next.filter(isLate), expired);
			const batch = next.filter((waiting) => !isLate(waiting));
			if (batch.length > 0) this.#settle(batch, connected ?? (await this.#sendBatch(batch)));
		}
	}

	/** Returns null or an error text. */
	async #connect(): Promise<string | null> {
		if (this.#link !== null) return null;
		try {
			this.#link = await this.#options.connect();
			const told = this.#link.batchBytesMax;
			if (told !== null) this.#batchBytesMax = Math.min(told, batchBytesMax);
			return null;
		} catch (error) {
			return rootCause(error).message;
		}
	}

	/** Takes the next records that fit into one batch; at least one. */
	#takeBatch(): Waiting[] {
		let bytes = batchHeadBytes;
		let count = 0;
		while (count < this.#waiting.length && count < batchRecordsMax) {
			bytes += this.#waiting[count]!.bytes;
			if (count > 0 && bytes > this.#batchBytesMax) break;
			count++;
		}
		return this.#waiting.splice(0, count);
	}

	#settle(batch: readonly Waiting[], error: string | null): void {
		for (const { done, bytes } of batch) {
			this.#records--;
			this.#bytes -= bytes;
			done(error);
		}
		if (this.#hasRoom()) this.#notifyRoom();
	}

	/** Returns null or an error text. */
	async #sendBatch(batch: readonly Waiting[]): Promise<string | null> {
		const link = this.#link!;
		const alone = batch.length === 1 ? batch[0]! : null;
		if (alone !== null && contentBytes(alone.record) + batchHeadBytes > (link.batchBytesMax ?? Number.POSITIVE_INFINITY))
			return this.#tooLarge(alone, link);
		try {
			await link.send(batch.map(({ record }) => record));
			return null;
		} catch (error) {
			// The single record was not written, and kafkajs has reset its sequence number.
			if (alone !== null && isTooLarge(error)) return this.#tooLarge(alone, link);
			if (isTooLarge(error)) this.#learnFrom(batch);
			this.#link = null;
			await link.close().catch(() => undefined);
			return rootCause(error).message;
		}
	}

	/** Lowers the batch limit after a batch was too large. The error names neither the topic's limit nor the partitions that have their part. */
	#learnFrom(batch: readonly Waiting[]): void {
		const bytes = batch.reduce((sum, each) => sum + each.bytes, batchHeadBytes);
		this.#batchBytesMax = Math.min(this.#batchBytesMax, Math.floor(bytes / 2));
	}

	#tooLarge({ record }: Waiting, { batchBytesMax }: ProducerLink): string {
		const most = batchBytesMax === null ? "accepts less" : `accepts at most ${batchBytesMax}`;
		return `the message is ${contentBytes(record)} bytes with its key and headers; topic ${this.#options.topic} ${most} (max.message.bytes)`;
	}

	#hasRoom(): boolean {
		const { recordsMax, bytesMax } = this.#options;
		return this.#closing || (this.#records <= recordsMax / 2 && this.#bytes <= bytesMax / 2);
	}

	#notifyRoom(): void {
		const waiting = this.#whenRoom;
		this.#whenRoom = [];
		for (const resolve of waiting) resolve();
	}
}
