import { FeedFloat, FeedWord, LogLayout } from "../memory/log-descriptor.ts";
import { fence, type LogMemory } from "../memory/log-memory.ts";
import type { LogRecordHead } from "../records/log-record.ts";

const feedWords = LogLayout.feedBytes >> 2;
const feedFloats = LogLayout.feedBytes >> 3;
const unknown = -1;

/**
 * The partitions of Kafka that feed this log, and up to where each was appended. Every shard may read a partition, in its order; the first one
 * appends a record, and the others find here that it is there. So a takeover needs nothing else.
 *
 * Records are compared by the epoch of the leader that wrote them, then by offset: what a new leader wrote in place of lost records is new,
 * though its offsets were there before. Changed under the log's lock only; `isKnown` may be asked by anybody at any time.
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

	/** Without the lock: whether the record of `head` is in the log, for certain. @param entry where its feed was last. */
	isKnown(head: LogRecordHead, entry: number): boolean {
		if (!this.#has(entry, head)) return false;
		const { words, floats } = this.#memory;
		const sequence = floats[this.#float + entry * feedFloats + FeedFloat.sequence]!;
		const leaderEpoch = words[this.#word + entry * feedWords + FeedWord.leaderEpoch]!;
		fence();
		// While it is changed its sequence is unknown, before and after: so what was read belongs together.
		if (floats[this.#float + entry * feedFloats + FeedFloat.sequence] !== sequence || !this.#has(entry, head)) return false;
		return isCovered(head, leaderEpoch, sequence);
	}

	/**
	 * Under the lock: fills in `head.feedEntry`. False = the record is in the log.
	 * @param hint where its feed was last.
	 */
	place(head: LogRecordHead, hint: number): boolean {
		const { words, floats } = this.#memory;
		const entry = this.#has(hint, head) ? hint : this.#find(head);
		head.feedEntry = entry;
		if (!this.#has(entry, head)) return true;
		const sequence = floats[this.#float + entry * feedFloats + FeedFloat.sequence]!;
		return !isCovered(head, words[this.#word + entry * feedWords + FeedWord.leaderEpoch]!, sequence);
	}

	/** Whether the last `place` has found the feed here, and not only a place for it. */
	has(head: LogRecordHead): boolean {
		return this.#has(head.feedEntry, head);
	}

	/** Whether `apply` gives the place of another feed away. */
	replaces({ feedEntry }: LogRecordHead): boolean {
		return !this.#isFree(feedEntry);
	}

	/** Notes a committed record. Doing it again, after a death in the middle, changes nothing more. */
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

	/** Its entry, else a free one, else the one that was used least recently. Once per feed and process: callers remember it. */
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
