import { LogError, LogErrorCode } from "../log-error.ts";
import { EntryFloat, EntryWord, LogLayout } from "../memory/log-descriptor.ts";
import type { LogMemory } from "../memory/log-memory.ts";
import type { LogRecordHead } from "../records/log-record.ts";

const entryWords = LogLayout.entryBytes >> 2;
const entryFloats = LogLayout.entryBytes >> 3;
const { entriesPerBucket } = LogLayout;

/**
 * Recent idempotency keys of a log, with the positions of their publications. Used only under the log's lock. A key's entry is in one of two
 * buckets: the emptier one when it is added. So three quarters of all entries are in use before both buckets of a key are full. An entry is never
 * reused before it expires: when both buckets are full, the publication is refused.
 */
export class IdempotencyTable {
	readonly #memory: LogMemory;
	readonly #word: number;
	readonly #float: number;
	readonly #buckets: number;
	/** Live entries found by the last `freeIn`. */
	#living = 0;

	constructor(memory: LogMemory) {
		this.#memory = memory;
		this.#word = memory.entriesOffset >> 2;
		this.#float = memory.entriesOffset >> 3;
		this.#buckets = memory.entries / entriesPerBucket;
	}

	/** The unexpired entry of the key; -1 = none. */
	find(hash0: number, hash1: number, nowMs: number): number {
		const first = this.#firstBucket(hash0);
		const entry = this.#findIn(first, hash0, hash1, nowMs);
		return entry >= 0 ? entry : this.#findIn(this.#secondBucket(first, hash1), hash0, hash1, nowMs);
	}

	/** The position stored in an entry. */
	position(entry: number): { readonly offset: number; readonly epoch0: number; readonly epoch1: number } {
		const { words, floats } = this.#memory;
		const word = this.#word + entry * entryWords;
		const offset = floats[this.#float + entry * entryFloats + EntryFloat.offset]!;
		return { offset, epoch0: words[word + EntryWord.epoch0]!, epoch1: words[word + EntryWord.epoch1]! };
	}

	hasRoom(hash0: number, hash1: number, nowMs: number): boolean {
		return this.#free(hash0, hash1, nowMs) >= 0;
	}

	/** Stores the key of a committed record. Idempotent, so that it can be repeated after a death. */
	apply(head: LogRecordHead): void {
		const { words, floats } = this.#memory;
		const known = this.find(head.hash0, head.hash1, head.timeMs);
		const entry = known >= 0 ? known : this.#free(head.hash0, head.hash1, head.timeMs);
		// `hasRoom` was true under the same lock, so the memory is damaged.
		if (entry < 0) throw new LogError(LogErrorCode.corrupt, "there is no room left for an idempotency key", "restart the cluster");
		const word = this.#word + entry * entryWords;
		const float = this.#float + entry * entryFloats;
		words[word + EntryWord.hash0] = head.hash0;
		words[word + EntryWord.hash1] = head.hash1;
		words[word + EntryWord.epoch0] = head.epoch0;
		words[word + EntryWord.epoch1] = head.epoch1;
		floats[float + EntryFloat.offset] = head.offset;
		// Last, since it makes the entry valid: a half-written one is free.
		floats[float + EntryFloat.expiresMs] = head.timeMs + head.keyTtlMs;
	}

	#firstBucket(hash0: number): number {
		return (hash0 >>> 0) % this.#buckets;
	}

	/** The second bucket; never the same as the first. */
	#secondBucket(first: number, hash1: number): number {
		const bucket = first + 1 + ((hash1 >>> 0) % (this.#buckets - 1));
		return bucket < this.#buckets ? bucket : bucket - this.#buckets;
	}

	#findIn(bucket: number, hash0: number, hash1: number, nowMs: number): number {
		const { words, floats } = this.#memory;
		const from = bucket * entriesPerBucket;
		for (let entry = from; entry < from + entriesPerBucket; entry++) {
			const word = this.#word + entry * entryWords;
			if (words[word + EntryWord.hash0] !== hash0 || words[word + EntryWord.hash1] !== hash1) continue;
			if (floats[this.#float + entry * entryFloats + EntryFloat.expiresMs]! > nowMs) return entry;
		}
		return -1;
	}

	/** A free entry in the emptier of the key's buckets; -1 = both are full. */
	#free(hash0: number, hash1: number, nowMs: number): number {
		const bucket = this.#firstBucket(hash0);
		const first = this.#freeIn(bucket, nowMs);
		const living = this.#living;
		const second = this.#freeIn(this.#secondBucket(bucket, hash1), nowMs);
		return living <= this.#living ? first : second;
	}

	/** A free entry; -1 = none. Also counts the live entries. */
	#freeIn(bucket: number, nowMs: number): number {
		const { floats } = this.#memory;
		const from = bucket * entriesPerBucket;
		let free = -1;
		let living = 0;
		for (let entry = from; entry < from + entriesPerBucket; entry++) {
			if (floats[this.#float + entry * entryFloats + EntryFloat.expiresMs]! > nowMs) living++;
			else if (free < 0) free = entry;
		}
		this.#living = living;
		return free;
	}
}
