import { kafkaOffsetOf } from "../feed.ts";
import { LogLayout, LogRecord, RecordFlag, RowFloat, RowWord } from "../memory/log-descriptor.ts";
import { fence, type LogMemory } from "../memory/log-memory.ts";
import type { LogRecordHead } from "../records/log-record.ts";

const rowWords = LogLayout.rowBytes >> 2;
const rowFloats = LogLayout.rowBytes >> 3;
const { rowsPerBucket } = LogLayout;

/** A consistent copy of a row. */
export interface ChannelState {
	row: number;
	epoch0: number;
	epoch1: number;
	last: number;
	lastPosition: number;
	first: number;
	born: number;
	removed: number;
	/** The Kafka partition whose offsets the channel has; both words 0 = it counts by itself. */
	feed0: number;
	feed1: number;
	size: number;
	ttlMs: number;
	publishedMs: number;
}

export function createChannelState(): ChannelState {
	return {
		row: -1,
		epoch0: 0,
		epoch1: 0,
		last: 0,
		lastPosition: LogRecord.noPosition,
		first: 0,
		born: 0,
		removed: 0,
		feed0: 0,
		feed1: 0,
		size: 0,
		ttlMs: 0,
		publishedMs: 0,
	};
}

/** Used instead of a row's last use: such rows are taken before all live ones, in this order. */
const neverUsed = Number.NEGATIVE_INFINITY;
const hasExpired = -1;

/** Most attempts to read a row that is being written. Writing takes a microsecond; a process that takes longer is paused, and is not waited for. */
const looksMax = 200;

/**
 * The channels of a log, with epoch, last offset and last position of each. A channel's row is in one of two buckets: the emptier one when it is
 * added. So three quarters of all rows are in use before any has to be reused; then it is the least recently used row of both buckets. An expired
 * row is free.
 *
 * The second half of a channel's epoch is the sum of the serials of its two buckets. A serial is incremented when a row of its bucket is reused.
 * So **a channel that has lost its row never gets an earlier epoch again**, and the epoch of a new channel does not depend on its bucket. A channel
 * without a row is at offset 0 of that epoch, so readers need no row.
 *
 * A channel whose row was added by a record from Kafka has Kafka's offsets and an epoch that identifies the partition, as long as nothing else
 * publishes to it. Then it starts another epoch and counts by itself. Its row also keeps its normal epoch, which subscribers got before the first
 * publication.
 *
 * Rows change only in `apply`, under the log's lock. Any process may call `read` at any time.
 */
export class ChannelTable {
	readonly #memory: LogMemory;
	readonly #word: number;
	readonly #float: number;
	readonly #buckets: number;
	readonly #channelEpoch: number;
	/** Result of the last `place`. */
	#evicts = false;
	/** Live rows found by the last `victimIn`. */
	#living = 0;
	#victimUsedMs = 0;

	constructor(memory: LogMemory, channelEpoch: number) {
		this.#memory = memory;
		this.#word = memory.rowsOffset >> 2;
		this.#float = memory.rowsOffset >> 3;
		this.#buckets = memory.rows / rowsPerBucket;
		this.#channelEpoch = channelEpoch;
	}

	/** Whether the last `place` has to reuse a row before it has expired. */
	get evicts(): boolean {
		return this.#evicts;
	}

	/**
	 * Under the lock: finds the place of the channel's next publication. Fills in row, epoch, offset and previous publication; changes nothing yet.
	 * @param hint the row that the channel may have.
	 */
	place(head: LogRecordHead, hint: number, nowMs: number): void {
		const { words, floats } = this.#memory;
		const row = this.#has(hint, head.key0, head.key1, head.key2, head.key3) ? hint : this.#find(head.key0, head.key1, head.key2, head.key3);
		this.#evicts = false;
		if (row >= 0 && !this.#isExpired(row, nowMs)) {
			const word = this.#word + row * rowWords;
			const float = this.#float + row * rowFloats;
			head.row = row;
			head.epoch0 = words[word + RowWord.epoch0]!;
			head.epoch1 = words[word + RowWord.epoch1]!;
			head.previous = floats[float + RowFloat.last]!;
			head.previousPosition = floats[float + RowFloat.lastPosition]!;
			head.offset = head.previous + 1;
			if (floats[float + RowFloat.publishedMs]! + (words[word + RowWord.ttlMs]! >>> 0) <= nowMs) head.flags |= RecordFlag.renews;
			const isStored = (head.flags & RecordFlag.stored) !== 0;
			if (!this.#hasFeed(row) && !isStored) return;
			if (this.#isFedBy(row, head) && kafkaOffsetOf(head) >= head.previous) {
				head.offset = kafkaOffsetOf(head) + 1;
				head.flags |= RecordFlag.kafkaOffset;
				return;
			}
			// A recreated topic continues in its own epoch. Any other source, an earlier topic included, means that the channel has several sources. For
			// records of a store the store defines the order, whatever was here before.
			this.#begin(head, row, isStored || this.#isRecreated(row, head));
			return;
		}
		const place = row >= 0 ? row : this.#victim(head.key1, head.key2, nowMs);
		this.#evicts = row < 0 && this.#isUsed(place) && !this.#isExpired(place, nowMs);
		this.#begin(head, place, (head.flags & RecordFlag.fed) !== 0);
	}

	/** Under the lock: whether the channel has the offsets of `head`'s partition and is past that record. For partitions without a feed entry. */
	covers(head: LogRecordHead, hint: number, nowMs: number): boolean {
		const row = this.#has(hint, head.key0, head.key1, head.key2, head.key3) ? hint : this.#find(head.key0, head.key1, head.key2, head.key3);
		if (row < 0 || this.#isExpired(row, nowMs) || !this.#isFedBy(row, head)) return false;
		return kafkaOffsetOf(head) < this.#memory.floats[this.#float + row * rowFloats + RowFloat.last]!;
	}

	/** Starts an epoch. */
	#begin(head: LogRecordHead, row: number, withKafkaOffset: boolean): void {
		head.row = row;
		head.epoch0 = this.#channelEpoch;
		head.epoch1 = this.#epochAt(row, head.key1, head.key2);
		head.previous = 0;
		head.previousPosition = LogRecord.noPosition;
		head.offset = withKafkaOffset ? kafkaOffsetOf(head) + 1 : 1;
		if (withKafkaOffset) head.flags |= RecordFlag.kafkaOffset;
	}

	/** Under the lock: updates the row from a committed record. Idempotent, so that it can be repeated after a death. */
	apply(head: LogRecordHead): void {
		const { words, floats } = this.#memory;
		const word = this.#word + head.row * rowWords;
		const float = this.#float + head.row * rowFloats;
		// Already odd if the last holder died in here.
		const odd = words[word + RowWord.sequence]! | 1;
		words[word + RowWord.sequence] = odd;
		fence();
		// Publications of a new epoch count from 1. The first one initialises the row, also when it is repeated.
		if (head.previous === 0) {
			words[word + RowWord.key] = head.key0;
			words[word + RowWord.key + 1] = head.key1;
			words[word + RowWord.key + 2] = head.key2;
			words[word + RowWord.key + 3] = head.key3;
			words[word + RowWord.epoch0] = head.epoch0;
			words[word + RowWord.epoch1] = head.epoch1;
			words[word + RowWord.used] = 1;
			const bucket = Math.floor(head.row / rowsPerBucket);
			const first = this.#firstBucket(head.key1);
			const other = bucket === first ? this.#secondBucket(first, head.key2) : first;
			words[this.#serialWord(bucket)] = (head.epoch1 - words[this.#serialWord(other)]!) | 0;
			this.#applyFeed(head);
			floats[float + RowFloat.born] = head.offset;
			floats[float + RowFloat.first] = head.offset;
			floats[float + RowFloat.removed] = 0;
			floats[float + RowFloat.touchedMs] = 0;
		} else if ((head.flags & RecordFlag.renews) !== 0) floats[float + RowFloat.first] = head.offset;
		floats[float + RowFloat.last] = head.offset;
		floats[float + RowFloat.lastPosition] = head.position;
		floats[float + RowFloat.publishedMs] = head.timeMs;
		words[word + RowWord.size] = head.size;
		words[word + RowWord.ttlMs] = head.ttlMs;
		words[word + RowWord.metaTtlMs] = head.metaTtlMs;
		fence();
		words[word + RowWord.sequence] = (odd + 1) | 0;
	}

	/** Under the lock: removes the publications so far from the history. After a death between the two stores, they can still be read here, but not from Kafka. */
	forget(key: Int32Array): void {
		const row = this.#find(key[0]!, key[1]!, key[2]!, key[3]!);
		if (row < 0) return;
		const float = this.#float + row * rowFloats;
		const { floats } = this.#memory;
		floats[float + RowFloat.removed] = floats[float + RowFloat.last]!;
		floats[float + RowFloat.first] = floats[float + RowFloat.last]! + 1;
	}

	/**
	 * Copies the channel's row into `state`, without the lock. Without a row, `row` is -1 and the epoch is the one that it would get. Keeps the row
	 * alive unless `keeps` is false.
	 * @returns false while a paused or dead process is writing the row.
	 */
	read(key: Int32Array, hint: number, nowMs: number, state: ChannelState, keeps = true): boolean {
		const { words, floats } = this.#memory;
		for (let look = 0; look < looksMax; look++) {
			const row = this.#has(hint, key[0]!, key[1]!, key[2]!, key[3]!) ? hint : this.#find(key[0]!, key[1]!, key[2]!, key[3]!);
			const place = row >= 0 ? row : this.#victim(key[1]!, key[2]!, nowMs);
			const word = this.#word + place * rowWords;
			const float = this.#float + place * rowFloats;
			const sequence = Atomics.load(words, word + RowWord.sequence);
			if ((sequence & 1) !== 0) continue;
			const isThere = this.#has(place, key[0]!, key[1]!, key[2]!, key[3]!) && !this.#isExpired(place, nowMs);
			if (isThere !== (row >= 0 && !this.#isExpired(place, nowMs))) continue;
			state.row = isThere ? place : -1;
			state.epoch0 = isThere ? words[word + RowWord.epoch0]! : this.#channelEpoch;
			state.epoch1 = isThere ? words[word + RowWord.epoch1]! : this.#epochAt(place, key[1]!, key[2]!);
			state.last = isThere ? floats[float + RowFloat.last]! : 0;
			state.lastPosition = isThere ? floats[float + RowFloat.lastPosition]! : LogRecord.noPosition;
			state.first = isThere ? floats[float + RowFloat.first]! : 1;
			state.born = isThere ? floats[float + RowFloat.born]! : 1;
			state.removed = isThere ? floats[float + RowFloat.removed]! : 0;
			state.feed0 = isThere ? words[word + RowWord.feed0]! : 0;
			state.feed1 = isThere ? words[word + RowWord.feed1]! : 0;
			state.size = isThere ? words[word + RowWord.size]! : 0;
			state.ttlMs = isThere ? words[word + RowWord.ttlMs]! >>> 0 : 0;
			state.publishedMs = isThere ? floats[float + RowFloat.publishedMs]! : 0;
			fence();
			if (Atomics.load(words, word + RowWord.sequence) !== sequence) continue;
			// If the row was just reused for another channel, that one lives a little longer.
			if (isThere && keeps) floats[float + RowFloat.touchedMs] = nowMs;
			return true;
		}
		return false;
	}

	/** Sets the row's feed from the first publication of an epoch. When repeated after a death, it must not take the new feed for the old one. */
	#applyFeed(head: LogRecordHead): void {
		const { words } = this.#memory;
		const word = this.#word + head.row * rowWords;
		const isFed = (head.flags & RecordFlag.kafkaOffset) !== 0;
		if (isFed && this.#isFedBy(head.row, head)) return;
		const keepsName = isFed && words[word + RowWord.feedName] === head.feedName;
		if (!isFed || words[word + RowWord.feed0] !== head.feed0) {
			words[word + RowWord.before0] = keepsName ? words[word + RowWord.feed0]! : 0;
			words[word + RowWord.before1] = keepsName ? words[word + RowWord.feed1]! : 0;
		}
		words[word + RowWord.feedName] = isFed ? head.feedName : 0;
		words[word + RowWord.feed0] = isFed ? head.feed0 : 0;
		words[word + RowWord.feed1] = isFed ? head.feed1 : 0;
	}

	/** False = the channel counts by itself. */
	#hasFeed(row: number): boolean {
		const { words } = this.#memory;
		const word = this.#word + row * rowWords;
		return (words[word + RowWord.feed0]! | words[word + RowWord.feed1]!) !== 0;
	}

	#isFedBy(row: number, head: LogRecordHead): boolean {
		const { words } = this.#memory;
		const word = this.#word + row * rowWords;
		const isSame = words[word + RowWord.feed0] === head.feed0 && words[word + RowWord.feed1] === head.feed1;
		return isSame && (head.flags & RecordFlag.fed) !== 0;
	}

	/** Whether `head` is of the same partition of a later topic with the same name. */
	#isRecreated(row: number, head: LogRecordHead): boolean {
		const { words } = this.#memory;
		const word = this.#word + row * rowWords;
		const isBefore = words[word + RowWord.before0] === head.feed0 && words[word + RowWord.before1] === head.feed1;
		return (
			(head.flags & RecordFlag.fed) !== 0 && words[word + RowWord.feedName] === head.feedName && !isBefore && !this.#isFedBy(row, head)
		);
	}

	/** The epoch of a channel that gets this row: a new one if the row was used before. */
	#epochAt(row: number, key1: number, key2: number): number {
		const { words } = this.#memory;
		const first = this.#firstBucket(key1);
		const serials = words[this.#serialWord(first)]! + words[this.#serialWord(this.#secondBucket(first, key2))]!;
		return (serials + (this.#isUsed(row) ? 1 : 0)) | 0;
	}

	#serialWord(bucket: number): number {
		return this.#word + bucket * rowsPerBucket * rowWords + RowWord.serial;
	}

	#firstBucket(key1: number): number {
		return (key1 >>> 0) % this.#buckets;
	}

	/** The second bucket; never the same as the first. */
	#secondBucket(first: number, key2: number): number {
		const bucket = first + 1 + ((key2 >>> 0) % (this.#buckets - 1));
		return bucket < this.#buckets ? bucket : bucket - this.#buckets;
	}

	#has(row: number, key0: number, key1: number, key2: number, key3: number): boolean {
		const { words } = this.#memory;
		const word = this.#word + row * rowWords + RowWord.key;
		const isKey = words[word] === key0 && words[word + 1] === key1 && words[word + 2] === key2 && words[word + 3] === key3;
		return isKey && this.#isUsed(row);
	}

	#find(key0: number, key1: number, key2: number, key3: number): number {
		const first = this.#firstBucket(key1);
		const row = this.#findIn(first, key0, key1, key2, key3);
		return row >= 0 ? row : this.#findIn(this.#secondBucket(first, key2), key0, key1, key2, key3);
	}

	#findIn(bucket: number, key0: number, key1: number, key2: number, key3: number): number {
		const from = bucket * rowsPerBucket;
		for (let row = from; row < from + rowsPerBucket; row++) if (this.#has(row, key0, key1, key2, key3)) return row;
		return -1;
	}

	/** The row for a new channel. */
	#victim(key1: number, key2: number, nowMs: number): number {
		const bucket = this.#firstBucket(key1);
		const first = this.#victimIn(bucket, nowMs);
		const living = this.#living;
		const usedMs = this.#victimUsedMs;
		const second = this.#victimIn(this.#secondBucket(bucket, key2), nowMs);
		if (living !== this.#living) return living < this.#living ? first : second;
		return usedMs <= this.#victimUsedMs ? first : second;
	}

	/** An unused row, or else an expired one, or else the one that expires first. Also counts the live rows. */
	#victimIn(bucket: number, nowMs: number): number {
		const from = bucket * rowsPerBucket;
		let victim = from;
		let victimUsedMs = Number.POSITIVE_INFINITY;
		let living = 0;
		for (let row = from; row < from + rowsPerBucket; row++) {
			let usedMs: number = neverUsed;
			if (this.#isUsed(row)) {
				usedMs = hasExpired;
				if (!this.#isExpired(row, nowMs)) {
					usedMs = this.#usedMs(row);
					living++;
				}
			}
			if (usedMs >= victimUsedMs) continue;
			victimUsedMs = usedMs;
			victim = row;
		}
		this.#living = living;
		this.#victimUsedMs = victimUsedMs;
		return victim;
	}

	#isUsed(row: number): boolean {
		return this.#memory.words[this.#word + row * rowWords + RowWord.used] !== 0;
	}

	#usedMs(row: number): number {
		const float = this.#float + row * rowFloats;
		const { floats } = this.#memory;
		return Math.max(floats[float + RowFloat.publishedMs]!, floats[float + RowFloat.touchedMs]!);
	}

	#isExpired(row: number, nowMs: number): boolean {
		return this.#usedMs(row) + (this.#memory.words[this.#word + row * rowWords + RowWord.metaTtlMs]! >>> 0) <= nowMs;
	}
}
