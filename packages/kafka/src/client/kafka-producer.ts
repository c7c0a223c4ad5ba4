import { monotonicMs } from "@shardcast/wire";
import { innermost } from "./kafkajs-cluster.ts";
import { batchHeadBytes, contentBytes, type ProducerRecord, producedBytes } from "./produced-record.ts";
import { isTooLarge, type ProducerLink } from "./producer-link.ts";

/** Called once with null when the broker has acknowledged the record, or with why it will not be written. */
export type Produced = (error: string | null) => void;

export interface KafkaProducerOptions {
	readonly topic: string;
	/** Opens a connection; called again after a batch that failed. */
	readonly connect: () => Promise<ProducerLink>;
	/** Most records that wait or are under way. */
	readonly recordsMax: number;
	/** Most bytes of them, keys and headers included. One record may be longer, if nothing else waits. */
	readonly bytesMax: number;
}

interface Waiting {
	readonly record: ProducerRecord;
	readonly done: Produced;
	readonly bytes: number;
}

const batchRecordsMax = 1000;
/** Kafka's own default for the longest batch (`message.max.bytes`) is 1 MiB and these few bytes. */
const brokerDefaultBytes = 1024 * 1024 + 12;
/** A topic that takes larger batches gets no larger ones from us: they would only be later. */
const batchBytesMax = brokerDefaultBytes;
const expired = "too late: those before it took too long";

/**
 * Writes records to one topic, idempotent and acknowledged by all replicas in sync. While one batch is under way the next one
 * gathers, so the batches grow with the load and an idle producer adds no delay. **Used by one thread.**
 *
 * Bound: `recordsMax` and `bytesMax`; beyond them `send` says false and the caller refuses its own caller, or waits in `room`. A batch
 * is at most 1,000 records, and no larger than the topic takes even if all of it goes to one partition. A record that is too large by itself
 * fails alone.
 *
 * A batch is tried again by kafkajs alone, which knows what of it the broker has and repeats the rest under the same sequence
 * numbers. When it gives up (after some ten seconds) the senders get an error, though the broker may have the records: as with any
 * timeout. The next batch then goes out under a new producer id, since the old one's sequence is uncertain.
 */
export class KafkaProducer {
	readonly #options: KafkaProducerOptions;
	#link: ProducerLink | null = null;
	#waiting: Waiting[] = [];
	#records = 0;
	#bytes = 0;
	/** What a batch may be as far as is known: the topic's own limit, or less after a batch that was too large. */
	#batchBytesMax = batchBytesMax;
	#running: Promise<void> | null = null;
	#whenRoom: (() => void)[] = [];
	#closing = false;

	constructor(options: KafkaProducerOptions) {
		this.#options = options;
	}

	/** Records that wait or are under way. */
	get waiting(): number {
		return this.#records;
	}

	/** False when the queue is full, or the producer is closing. */
	send(record: ProducerRecord, done: Produced): boolean {
		const bytes = producedBytes(record);
		const isFull = this.#records > 0 && (this.#records >= this.#options.recordsMax || this.#bytes + bytes > this.#options.bytesMax);
		if (this.#closing || isFull) return false;
		this.#records++;
		this.#bytes += bytes;
		this.#waiting.push({ record, done, bytes });
		this.#start();
		return true;
	}

	/** Resolves when half of the queue is free, or the producer is closing. */
	room(): Promise<void> {
		if (this.#hasRoom()) return Promise.resolve();
		return new Promise((resolve) => this.#whenRoom.push(resolve));
	}

	/** Waits for what is queued to be acknowledged or given up. */
	async close(): Promise<void> {
		this.#closing = true;
		this.#tellRoom();
		while (this.#running !== null) await this.#running;
		await this.#link?.close();
	}

	#start(): void {
		this.#running ??= this.#run().finally(() => {
			this.#running = null;
			// What was sent between the last look and here.
			if (this.#waiting.length > 0) this.#start();
		});
	}

	async #run(): Promise<void> {
		// A turn of the loop, so that what is sent together goes together.
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

	/** Null, or why there is no connection. */
	async #connect(): Promise<string | null> {
		if (this.#link !== null) return null;
		try {
			this.#link = await this.#options.connect();
			const told = this.#link.batchBytesMax;
			if (told !== null) this.#batchBytesMax = Math.min(told, batchBytesMax);
			return null;
		} catch (error) {
			return innermost(error).message;
		}
	}

	/** The records that come next and fit into one batch together; at least one. */
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
		if (this.#hasRoom()) this.#tellRoom();
	}

	/** Null or what went wrong. */
	async #sendBatch(batch: readonly Waiting[]): Promise<string | null> {
		const link = this.#link!;
		const alone = batch.length === 1 ? batch[0]! : null;
		if (alone !== null && contentBytes(alone.record) + batchHeadBytes > (link.batchBytesMax ?? Number.POSITIVE_INFINITY))
			return this.#tooLarge(alone, link);
		try {
			await link.send(batch.map(({ record }) => record));
			return null;
		} catch (error) {
			// Nothing of a single record was written, and kafkajs has taken its sequence number back.
			if (alone !== null && isTooLarge(error)) return this.#tooLarge(alone, link);
			if (isTooLarge(error)) this.#learnFrom(batch);
			this.#link = null;
			await link.close().catch(() => undefined);
			return innermost(error).message;
		}
	}

	/** The topic takes less than we thought, and does not tell how much. Which partitions have their part of the batch is not known either. */
	#learnFrom(batch: readonly Waiting[]): void {
		const bytes = batch.reduce((sum, each) => sum + each.bytes, batchHeadBytes);
		this.#batchBytesMax = Math.min(this.#batchBytesMax, Math.floor(bytes / 2));
	}

	#tooLarge({ record }: Waiting, { batchBytesMax }: ProducerLink): string {
		const most = batchBytesMax === null ? "takes less" : `takes at most ${batchBytesMax}`;
		return `the message is ${contentBytes(record)} bytes with its key and headers; topic ${this.#options.topic} ${most} (max.message.bytes)`;
	}

	#hasRoom(): boolean {
		const { recordsMax, bytesMax } = this.#options;
		return this.#closing || (this.#records <= recordsMax / 2 && this.#bytes <= bytesMax / 2);
	}

	#tellRoom(): void {
		const waiting = this.#whenRoom;
		this.#whenRoom = [];
		for (const resolve of waiting) resolve();
	}
}
