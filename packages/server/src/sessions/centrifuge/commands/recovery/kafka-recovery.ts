import type { KafkaHistory, MissedFailure, RecordRange } from "@shardcast/kafka";
import type { EncodedPublications } from "@shardcast/protocol";
import type { CentrifugeSession } from "../../centrifuge-session.ts";
import { ReplySlots } from "../reply-slots.ts";
import { EncodedRanges } from "./encoded-range.ts";
import type { KafkaGap } from "./recovery.ts";

/** Times that Kafka is read for one client: again when what came meanwhile has left the memory before the client could be given both. */
const readsMax = 3;

/** What clients have missed and only Kafka has. **One per shard**, on its loop. */
export class KafkaRecovery {
	readonly #kafka: KafkaHistory | null;
	readonly slots: ReplySlots;
	readonly ranges = new EncodedRanges();

	/** @param kafka null = it is not used, or not read for clients that come back. @param replyBytesMax of all replies that are on their way. */
	constructor(kafka: KafkaHistory | null, replyBytesMax: number) {
		this.#kafka = kafka;
		this.slots = new ReplySlots(replyBytesMax);
	}

	/** A client comes back; null = Kafka is of no use for it. */
	attempt(session: CentrifugeSession, channel: string): KafkaAttempt | null {
		const kafka = this.#kafka;
		return kafka === null ? null : new KafkaAttempt(this, kafka, session, channel);
	}

	stop(): void {
		this.slots.stop();
	}
}

/** One client that comes back to one channel. Asked again and again, until it knows. */
export class KafkaAttempt {
	/** It knows no more before this has resolved; null = ask again at any time. Never rejects. */
	waits: Promise<void> | null = null;
	readonly #shared: KafkaRecovery;
	readonly #kafka: KafkaHistory;
	readonly #session: CentrifugeSession;
	readonly #channel: string;
	#reads = 0;
	#from = Number.NaN;
	#found: RecordRange | MissedFailure | null = null;
	/** Of the reply, that it has room for. */
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

	/** What was read, or why not. Null = it is being read. */
	range({ epoch, from, to }: KafkaGap): RecordRange | MissedFailure | null {
		if (this.#found === null && this.waits === null) {
			this.#from = from;
			this.#read(epoch, to);
		}
		return this.#found;
	}

	/** More has come than the memory holds. False = that was too often. */
	readOn({ epoch, to }: KafkaGap): boolean {
		if (this.#reads >= readsMax) return false;
		this.#read(epoch, to);
		return true;
	}

	/** Part of the range, encoded; null = that is more than may wait for this client. */
	encoded(range: RecordRange, from: number, to: number): EncodedPublications | null {
		const { framing, bufferedBytesMax } = this.#session;
		const encoded = this.#shared.ranges.slice(framing.codec, range, from, to);
		return encoded.bytes.length > bufferedBytesMax ? null : encoded;
	}

	/** The client gets what was read, with the reply that is being made. */
	replied(): void {
		this.#isReplied = true;
	}

	/** Nobody asks any more; the reply, if there is one, is sent within this turn of the loop. */
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

	async #await(epoch: string, to: number): Promise<RecordRange | MissedFailure> {
		const kafka = this.#kafka;
		const partition = await kafka.partitionOf(epoch);
		if (partition === null) return "unavailable";
		const range = await kafka.get(partition, this.#channel, this.#from, to);
		if (typeof range === "string" || this.#isDone) return range;
		if (this.#bytes === 0) {
			// The payloads are about what the reply will be, whatever the encoding; a client of the same range asks for no more of it than this.
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

/** Of a record in a reply, beside its payload. */
const recordOverheadBytes = 24;
