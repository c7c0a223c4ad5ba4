import type { Redis } from "@shardcast/redis";
import type { Compressor } from "../compression.ts";
import type { NodeId } from "../node-id.ts";
import { batchedBytes, writeBatch } from "./message-batch.ts";

interface OutgoingMessagesParts {
	readonly redis: Pick<Redis, "send" | "state">;
	readonly node: NodeId;
	readonly slot: number;
	/** The pub/sub channel. */
	readonly topic: string;
	/** For batches. */
	readonly compressor: Pick<Compressor, "pack">;
}

class OutgoingCounts {
	messages = 0;
	batches = 0;
	bytes = 0;
	/** Messages lost because Redis could not be reached or refused the batch. */
	droppedOffline = 0;
	/** Messages lost because too many were waiting. */
	droppedFull = 0;
}

const batchMessagesMax = 100;
/** Longer only if it has a single message. Before it is compressed. */
export const batchBytesMax = 262_144;
/** Longest wait for the reply to the previous batch. */
const waitMsMax = 100;
/** Limits on what waits and what is in flight. */
const bytesMax = 16 * 1024 * 1024;

/**
 * Sends messages without history to the other nodes. The first message of a turn is sent at the end of that turn. Messages that arrive before Redis has
 * replied are sent together: at most 100, and after 100 ms at the latest. So an idle shard adds no delay, and a busy one sends few commands. **One per shard.**
 *
 * Messages with high priority wait for no reply: they leave at the end of their turn, before those that wait.
 *
 * At most once: a message that cannot be sent now is dropped and counted.
 */
export class OutgoingMessages {
	readonly counts = new OutgoingCounts();
	readonly #parts: OutgoingMessagesParts;
	#records: Uint8Array[] = [];
	/** With high priority, of this turn. */
	#urgent: Uint8Array[] = [];
	/** Of both. */
	#waitingBytes = 0;
	#underWayBytes = 0;
	#underWay = 0;
	#number = 0;
	#isDue = false;
	#timer: NodeJS.Timeout | undefined;
	#stopped = false;

	constructor(parts: OutgoingMessagesParts) {
		this.#parts = parts;
	}

	/** @param record is in the ring; it is copied. @param isUrgent whether it has high priority. */
	take(record: Uint8Array, isUrgent = false): void {
		const { counts } = this;
		if (this.#stopped || this.#parts.redis.state !== "ready") {
			counts.droppedOffline++;
			return;
		}
		const bytes = batchedBytes(record.length);
		if (this.#waitingBytes + this.#underWayBytes + bytes > bytesMax) {
			counts.droppedFull++;
			return;
		}
		if (this.#waitingBytes + bytes > batchBytesMax) this.#send();
		this.#waitingBytes += bytes;
		if (isUrgent) {
			const waiting = this.#urgent.push(Uint8Array.from(record));
			if (waiting === 1) setImmediate(() => this.#sendUrgent());
			else if (waiting >= batchMessagesMax) this.#sendUrgent();
			return;
		}
		this.#records.push(Uint8Array.from(record));
		if (this.#records.length >= batchMessagesMax) this.#send();
		else if (this.#underWay === 0) this.#sendSoon();
		else this.#timer ??= setTimeout(() => this.#send(), waitMsMax);
	}

	/** Sends waiting messages, then accepts no more. */
	stop(): void {
		this.#send();
		this.#stopped = true;
	}

	#sendSoon(): void {
		if (this.#isDue) return;
		this.#isDue = true;
		setImmediate(() => this.#send());
	}

	#sendUrgent(): void {
		const records = this.#urgent;
		this.#urgent = [];
		this.#sendBatch(records);
	}

	#send(): void {
		this.#isDue = false;
		clearTimeout(this.#timer);
		this.#timer = undefined;
		this.#sendUrgent();
		const records = this.#records;
		this.#records = [];
		this.#sendBatch(records);
	}

	#sendBatch(records: readonly Uint8Array[]): void {
		if (records.length === 0) return;
		for (const { length } of records) this.#waitingBytes -= batchedBytes(length);
		const { redis, node, slot, topic, compressor } = this.#parts;
		const { counts } = this;
		const batch = compressor.pack(writeBatch({ node, slot, number: ++this.#number }, records));
		this.#underWay++;
		this.#underWayBytes += batch.length;
		redis.send(topic, ["SPUBLISH", topic, batch]).then(
			() => {
				counts.messages += records.length;
				counts.batches++;
				counts.bytes += batch.length;
				this.#answered(batch.length);
			},
			() => {
				counts.droppedOffline += records.length;
				this.#answered(batch.length);
			},
		);
	}

	#answered(bytes: number): void {
		this.#underWay--;
		this.#underWayBytes -= bytes;
		if (this.#underWay === 0) this.#send();
	}
}
