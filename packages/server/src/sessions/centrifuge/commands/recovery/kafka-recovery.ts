import type { HistoryFailure, KafkaHistory, RecordRange } from "@shardcast/kafka";
import type { EncodedPublications } from "@shardcast/protocol";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import { ReplySlots } from "../reply-slots.ts";
import { EncodedRanges } from "./encoded-range.ts";
import type { KafkaGap } from "./recovery.ts";

/** How often Kafka is read for one client. It is read again when newer publications have left memory before the client could be served. */
const readsMax = 3;

/** Recovers what only Kafka still has. **One per shard**, on its loop. */
export class KafkaRecovery {
	readonly #kafka: KafkaHistory | null;
	readonly slots: ReplySlots;
	readonly ranges = new EncodedRanges();

	/** @param kafka null = not used, or not read for clients. @param replyBytesMax for all replies that clients have not read. */
	constructor(kafka: KafkaHistory | null, replyBytesMax: number) {
		this.#kafka = kafka;
		this.slots = new ReplySlots(replyBytesMax);
	}

	/** Starts a recovery; null = Kafka cannot help. */
	attempt(session: CentrifugeSession, channel: string): KafkaAttempt | null {
		const kafka = this.#kafka;
		return kafka === null ? null : new KafkaAttempt(this, kafka, session, channel);
	}

	stop(): void {
		this.slots.stop();
	}
}

/** The recovery of one client in one channel. Polled until the result is known. */
export class KafkaAttempt {
	/** Resolves when there is news; null = may be polled at any time. Never rejects. */
	waits: Promise<void> | null = null;
	readonly #shared: KafkaRecovery;
	readonly #kafka: KafkaHistory;
	readonly #session: CentrifugeSession;
	readonly #channel: string;
	#reads = 0;
	#from = Number.NaN;
	#found: RecordRange | HistoryFailure | null = null;
	/** Bytes reserved for the reply. */
	#bytes = 0;
	#isReplied = false;
	#isDone = false;

	constructor(shared: KafkaRecovery, kafka: KafkaHistory, session: CentrifugeSession, channel: string) {
		this.#shared = shared;
		this.#kafka = kafka;
		this.#session = session;
		this.#channel = channel;
	}

	get recordsMax(): number {
		return this.#kafka.recordsMax;
	}

	/** What was read, or why it failed. Null = still reading. */
	range({ epoch, from, to }: KafkaGap): RecordRange | HistoryFailure | null {
		if (this.#found === null && this.waits === null) {
			this.#from = from;
			this.#read(epoch, to);
		}
		return this.#found;
	}

	/** Reads on, because memory no longer holds what follows the range. False = this happened too often. */
	readMore({ epoch, to }: KafkaGap): boolean {
		if (this.#reads >= readsMax) return false;
		this.#read(epoch, to);
		return true;
	}

	/** Part of the range, encoded; null = more than may wait for this client. */
	encoded(range: RecordRange, from: number, to: number): EncodedPublications | null {
		const { framing, bufferedBytesMax } = this.#session;
		const encoded = this.#shared.ranges.slice(framing.codec, range, from, to);
		return encoded.bytes.length > bufferedBytesMax ? null : encoded;
	}

	/** The reply contains the range that was read. */
	replied(): void {
		this.#isReplied = true;
	}

	/** Nobody polls any more. A reply, if any, is sent within this turn of the loop. */
	done(): void {
		this.#isDone = true;
		const bytes = this.#bytes;
		this.#bytes = 0;
		if (bytes === 0) return;
		const session = this.#session;
		if (!this.#isReplied) this.#shared.slots.release(bytes);
		else setImmediate(() => this.#shared.slots.sent(bytes, session.transport, () => session.isGone));
	}

	#read(epoch: string, to: number): void {
		this.#reads++;
		this.#found = null;
		this.waits = this.#await(epoch, to).then((found) => {
			this.#found = found;
			this.waits = null;
		});
	}

	async #await(epoch: string, to: number): Promise<RecordRange | HistoryFailure> {
		const kafka = this.#kafka;
		const partition = await kafka.partitionOf(epoch);
		if (partition === null) return "unavailable";
		const range = await kafka.get(partition, this.#channel, this.#from, to);
		if (typeof range === "string" || this.#isDone) return range;
		if (this.#bytes === 0) {
			// The reply is about as large as the payloads in either encoding, and a client of the same range asks for no more than that.
			const bytes = range.records.reduce(
				(sum, { offset, data }) => (offset > this.#from ? sum + data.length + recordOverheadBytes : sum),
				0,
			);
			await this.#shared.slots.take(bytes);
			this.#bytes = bytes;
			if (this.#isDone) this.done();
		}
		return range;
	}
}

/** Overhead of a record in a reply, in bytes. */
const recordOverheadBytes = 24;
