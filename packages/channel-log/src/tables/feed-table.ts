import { FeedFloat, FeedWord, LogLayout } from "../memory/log-descriptor.ts";
import { fence, type LogMemory } from "../memory/log-memory.ts";
import type { LogRecordHead } from "../records/log-record.ts";

const feedWords = LogLayout.feedBytes >> 2;
const feedFloats = LogLayout.feedBytes >> 3;
const unknown = -1;

/**
 * The Kafka partitions that feed this log, with the last appended record of each. Several shards may read a partition in order: the first one
 * appends a record, and the others see here that it is in the log. A takeover needs nothing else.
 *
 * Records are compared by leader epoch, then by offset: records that a new leader wrote in place of lost ones are new, although their offsets were
 * used before. Changed only under the log's lock; any process may call `isKnown` at any time.
 */
export class FeedTable {
	readonly #memory: LogMemory;
	readonly #word: number;
	readonly #float: number;

	constructor(memory: LogMemory) {
		this.#memory = memory;
		this.#word = memory.feedsOffset >> 2;
		this.#float = memory.feedsOffset >> 3;
	}

	/** Without the lock: whether the record of `head` is certainly in the log. @param entry the last known entry of its feed. */
	isKnown(head: LogRecordHead, entry: number): boolean {
		if (!this.#has(entry, head)) return false;
		const { words, floats } = this.#memory;
		const sequence = floats[this.#float + entry * feedFloats + FeedFloat.sequence]!;
		const leaderEpoch = words[this.#word + entry * feedWords + FeedWord.leaderEpoch]!;
		fence();
		// The sequence is -1 during a change, so if it is the same before and after, the values read belong together.
		if (floats[this.#float + entry * feedFloats + FeedFloat.sequence] !== sequence || !this.#has(entry, head)) return false;
		return isCovered(head, leaderEpoch, sequence);
	}

	/**
	 * Under the lock: fills in `head.feedEntry`. False = the record is in the log.
	 * @param hint the last known entry of its feed.
	 */
	place(head: LogRecordHead, hint: number): boolean {
		const { words, floats } = this.#memory;
		const entry = this.#has(hint, head) ? hint : this.#find(head);
		head.feedEntry = entry;
		if (!this.#has(entry, head)) return true;
		const sequence = floats[this.#float + entry * feedFloats + FeedFloat.sequence]!;
		return !isCovered(head, words[this.#word + entry * feedWords + FeedWord.leaderEpoch]!, sequence);
	}

	/** Whether the last `place` found the feed itself, and not only a place for it. */
	has(head: LogRecordHead): boolean {
		return this.#has(head.feedEntry, head);
	}

	/** Whether `apply` reuses the entry of another feed. */
	replaces({ feedEntry }: LogRecordHead): boolean {
		return !this.#isFree(feedEntry);
	}

	/** Records a committed record. Idempotent, so that it can be repeated after a death. */
	apply(head: LogRecordHead): void {
		const { words, floats } = this.#memory;
		const word = this.#word + head.feedEntry * feedWords;
		const float = this.#float + head.feedEntry * feedFloats;
		if (!this.has(head) || words[word + FeedWord.leaderEpoch] !== head.leaderEpoch) {
			floats[float + FeedFloat.sequence] = unknown;
			fence();
			words[word + FeedWord.feed0] = head.feed0;
			words[word + FeedWord.feed1] = head.feed1;
			words[word + FeedWord.leaderEpoch] = head.leaderEpoch;
			fence();
		}
		floats[float + FeedFloat.usedMs] = head.timeMs;
		floats[float + FeedFloat.sequence] = head.sequence;
	}

	#has(entry: number, { feed0, feed1 }: LogRecordHead): boolean {
		const { words } = this.#memory;
		const word = this.#word + entry * feedWords;
		return words[word + FeedWord.feed0] === feed0 && words[word + FeedWord.feed1] === feed1;
	}

	#isFree(entry: number): boolean {
		const { words } = this.#memory;
		const word = this.#word + entry * feedWords;
		return words[word + FeedWord.feed0] === 0 && words[word + FeedWord.feed1] === 0;
	}

	/** The feed's entry, or else a free one, or else the least recently used one. Called once per feed and process: callers cache the result. */
	#find(head: LogRecordHead): number {
		const { feeds, floats } = this.#memory;
		const first = (head.feed0 >>> 0) % feeds;
		let oldest = first;
		for (let probe = 0; probe < feeds; probe++) {
			const entry = (first + probe) % feeds;
			if (this.#has(entry, head) || this.#isFree(entry)) return entry;
			const usedMs = (at: number) => floats[this.#float + at * feedFloats + FeedFloat.usedMs]!;
			if (usedMs(entry) < usedMs(oldest)) oldest = entry;
		}
		return oldest;
	}
}

function isCovered(head: LogRecordHead, leaderEpoch: number, sequence: number): boolean {
	if (sequence === unknown) return false;
	return leaderEpoch > head.leaderEpoch || (leaderEpoch === head.leaderEpoch && sequence >= head.sequence);
}
