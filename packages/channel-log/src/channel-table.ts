import { LogLayout, LogRecord, RowFloat, RowWord } from "./log-descriptor.ts";
import { fence, type LogMemory } from "./log-memory.ts";
import type { LogRecordHead } from "./log-record.ts";

const rowWords = LogLayout.rowBytes >> 2;
const rowFloats = LogLayout.rowBytes >> 3;
const { rowsPerBucket } = LogLayout;

/** A copy of a row: what was true of a channel at one instant. */
export interface ChannelState {
	row: number;
	epoch0: number;
	epoch1: number;
	last: number;
	lastPosition: number;
	first: number;
	size: number;
	ttlMs: number;
}

export function createChannelState(): ChannelState {
	return { row: -1, epoch0: 0, epoch1: 0, last: 0, lastPosition: LogRecord.noPosition, first: 0, size: 0, ttlMs: 0 };
}

/** Looks at a row that is being written. A hold takes a microsecond; a holder that takes longer is paused, and we do not wait for it. */
const looksMax = 200;

/**
 * The channels of one log: epoch, last offset, last position of each. A channel can have its row in one bucket only; when that is full, an expired
 * one is recycled, or the one that was used least recently. The channel gets another epoch then, since the bucket's serial goes up: **a channel
 * whose row was lost never gets an epoch back that it had.** A channel without a row is at offset 0 of the epoch that it would get, so
 * readers need no row.
 *
 * Rows change in `apply` only, under the lock of the log. `read` may be called by anybody at any time.
 */
export class ChannelTable {
	readonly #memory: LogMemory;
	readonly #word: number;
	readonly #float: number;
	readonly #buckets: number;
	readonly #channelEpoch: number;
	/** Of the last `place`. */
	#evicts = false;

	constructor(memory: LogMemory, channelEpoch: number) {
		this.#memory = memory;
		this.#word = memory.rowsOffset >> 2;
		this.#float = memory.rowsOffset >> 3;
		this.#buckets = memory.rows / rowsPerBucket;
		this.#channelEpoch = channelEpoch;
	}

	/** Whether the last `place` has to give a channel's row away before its time. */
	get evicts(): boolean {
		return this.#evicts;
	}

	/**
	 * Under the lock: where the channel's next publication belongs. Fills in row, epoch, offset and previous publication; changes nothing yet.
	 * @param hint the row that it may have.
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
			return;
		}
		const place = row >= 0 ? row : this.#victim(head.key1, nowMs);
		this.#evicts = row < 0 && this.#isUsed(place) && !this.#isExpired(place, nowMs);
		head.row = place;
		head.epoch0 = this.#channelEpoch;
		head.epoch1 = this.#epochAt(place);
		head.previous = 0;
		head.previousPosition = LogRecord.noPosition;
		head.offset = 1;
	}

	/** Under the lock: brings the row to what the committed record says. Doing it again, after a death in the middle, changes nothing more. */
	apply(head: LogRecordHead): void {
		const { words, floats } = this.#memory;
		const word = this.#word + head.row * rowWords;
		const float = this.#float + head.row * rowFloats;
		// Odd already when the one before us died in here.
		const odd = words[word + RowWord.sequence]! | 1;
		words[word + RowWord.sequence] = odd;
		fence();
		// Publications of a new epoch count from 1; the first makes the row, and so it does when it is repeated.
		if (head.previous === 0) {
			words[word + RowWord.key] = head.key0;
			words[word + RowWord.key + 1] = head.key1;
			words[word + RowWord.key + 2] = head.key2;
			words[word + RowWord.key + 3] = head.key3;
			words[word + RowWord.epoch0] = head.epoch0;
			words[word + RowWord.epoch1] = head.epoch1;
			words[word + RowWord.used] = 1;
			words[this.#serialWord(head.row)] = head.epoch1;
			floats[float + RowFloat.first] = 1;
			floats[float + RowFloat.touchedMs] = 0;
		}
		floats[float + RowFloat.last] = head.offset;
		floats[float + RowFloat.lastPosition] = head.position;
		floats[float + RowFloat.publishedMs] = head.timeMs;
		words[word + RowWord.size] = head.size;
		words[word + RowWord.ttlMs] = head.ttlMs;
		words[word + RowWord.metaTtlMs] = head.metaTtlMs;
		fence();
		words[word + RowWord.sequence] = (odd + 1) | 0;
	}

	/** Under the lock: what was published until now is history no more. A single store, so that a death does not leave half of it. */
	forget(key: Int32Array): void {
		const row = this.#find(key[0]!, key[1]!, key[2]!, key[3]!);
		if (row < 0) return;
		const float = this.#float + row * rowFloats;
		this.#memory.floats[float + RowFloat.first] = this.#memory.floats[float + RowFloat.last]! + 1;
	}

	/**
	 * Copies the channel's row into `state`, without the lock; `row` is -1 when it has none, and the epoch is the one that it would get. Keeps the row alive.
	 * False = it is being written, by a process that is paused or dead.
	 */
	read(key: Int32Array, hint: number, nowMs: number, state: ChannelState): boolean {
		const { words, floats } = this.#memory;
		for (let look = 0; look < looksMax; look++) {
			const row = this.#has(hint, key[0]!, key[1]!, key[2]!, key[3]!) ? hint : this.#find(key[0]!, key[1]!, key[2]!, key[3]!);
			const place = row >= 0 ? row : this.#victim(key[1]!, nowMs);
			const word = this.#word + place * rowWords;
			const float = this.#float + place * rowFloats;
			const sequence = Atomics.load(words, word + RowWord.sequence);
			if ((sequence & 1) !== 0) continue;
			const isThere = this.#has(place, key[0]!, key[1]!, key[2]!, key[3]!) && !this.#isExpired(place, nowMs);
			if (isThere !== (row >= 0 && !this.#isExpired(place, nowMs))) continue;
			state.row = isThere ? place : -1;
			state.epoch0 = isThere ? words[word + RowWord.epoch0]! : this.#channelEpoch;
			state.epoch1 = isThere ? words[word + RowWord.epoch1]! : this.#epochAt(place);
			state.last = isThere ? floats[float + RowFloat.last]! : 0;
			state.lastPosition = isThere ? floats[float + RowFloat.lastPosition]! : LogRecord.noPosition;
			state.first = isThere ? floats[float + RowFloat.first]! : 1;
			state.size = isThere ? words[word + RowWord.size]! : 0;
			state.ttlMs = isThere ? words[word + RowWord.ttlMs]! >>> 0 : 0;
			fence();
			if (Atomics.load(words, word + RowWord.sequence) !== sequence) continue;
			// If the row has just become another channel's, that one lives a little longer.
			if (isThere) floats[float + RowFloat.touchedMs] = nowMs;
			return true;
		}
		return false;
	}

	/** The epoch of a channel that takes this row over: a new one unless nobody has had it. */
	#epochAt(row: number): number {
		return (this.#memory.words[this.#serialWord(row)]! + (this.#isUsed(row) ? 1 : 0)) | 0;
	}

	#serialWord(row: number): number {
		return this.#word + (row - (row % rowsPerBucket)) * rowWords + RowWord.serial;
	}

	#has(row: number, key0: number, key1: number, key2: number, key3: number): boolean {
		const { words } = this.#memory;
		const word = this.#word + row * rowWords + RowWord.key;
		const isKey = words[word] === key0 && words[word + 1] === key1 && words[word + 2] === key2 && words[word + 3] === key3;
		return isKey && this.#isUsed(row);
	}

	#find(key0: number, key1: number, key2: number, key3: number): number {
		const first = ((key1 >>> 0) % this.#buckets) * rowsPerBucket;
		for (let row = first; row < first + rowsPerBucket; row++) if (this.#has(row, key0, key1, key2, key3)) return row;
		return -1;
	}

	/** The row that a new channel of this bucket gets: a free one, else the one whose time is up, or is up first. */
	#victim(key1: number, nowMs: number): number {
		const first = ((key1 >>> 0) % this.#buckets) * rowsPerBucket;
		let victim = first;
		let oldestMs = Number.POSITIVE_INFINITY;
		for (let row = first; row < first + rowsPerBucket; row++) {
			if (!this.#isUsed(row)) return row;
			// Among those that have expired it makes no difference.
			const usedMs = this.#isExpired(row, nowMs) ? Number.NEGATIVE_INFINITY : this.#usedMs(row);
			if (usedMs >= oldestMs) continue;
			oldestMs = usedMs;
			victim = row;
		}
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
