import type { Ring } from "./ring.ts";
import { ReaderState, RingLayout, readerLineOffset } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const tailWord = RingLayout.tailOffset >> 2;
const backpressuredCounter = RingLayout.backpressuredOffset >> 3;

/**
 * The writing end of a ring. **One at a time per ring, used by one thread.** If a writer dies, the tail stays where it was, so readers
 * never see half a record. After its process was reaped, a new RingWriter on the same ring continues there.
 *
 * When the ring is full for the slowest live reader, `claim` returns -1 (counted in `backpressuredCount`) and nothing is overwritten. The
 * caller must slow down its source. Without a live reader the ring is never full.
 *
 * Cost per record: one atomic store (the tail), no allocation. The readers' heads are on cache lines that move between cores, so they are
 * read only when the cached values say that the ring is full.
 */
export class RingWriter {
	readonly #ring: Ring;
	readonly #words: Int32Array;
	readonly #dataOffset: number;
	readonly #capacityUnits: number;
	readonly #recordBytesMax: number;
	/** The published tail. */
	#tail: number;
	/** The tail after the next commit; equal to `#tail` when nothing is claimed. */
	#claimedTail: number;
	/** Lower bound on the heads of all live readers. */
	#slowestHead: number;

	constructor(ring: Ring) {
		this.#ring = ring;
		this.#words = ring.words;
		this.#dataOffset = ring.dataOffset;
		this.#capacityUnits = ring.capacityBytes / RingLayout.unitBytes;
		this.#recordBytesMax = ring.recordBytesMax;
		this.#tail = Atomics.load(ring.words, tailWord);
		this.#claimedTail = this.#tail;
		this.#slowestHead = (this.#tail - this.#usedUnits()) | 0;
	}

	/**
	 * Returns where to write a record of `bytes` bytes, as an offset into the ring's `u8` and `view` (a multiple of 8), or -1 when the ring is
	 * full. The bytes there are undefined until written. The next claim replaces one that was not committed.
	 * @throws RingError for a record longer than `recordBytesMax`.
	 */
	claim(bytes: number): number {
		if (bytes >>> 0 !== bytes || bytes > this.#recordBytesMax) throw this.#tooLong(bytes);
		const tail = this.#tail;
		const units = (bytes + RingLayout.recordHeaderBytes + RingLayout.unitBytes - 1) >>> RingLayout.unitShift;
		const index = tail & (this.#capacityUnits - 1);
		const unitsToEnd = this.#capacityUnits - index;
		const neededUnits = units <= unitsToEnd ? units : unitsToEnd + units;
		if ((tail + neededUnits - this.#slowestHead) >>> 0 > this.#capacityUnits && !this.#findRoom(neededUnits)) return -1;

		const words = this.#words;
		let start = this.#dataOffset + (index << RingLayout.unitShift);
		let position = tail;
		if (units > unitsToEnd) {
			words[(start + RingLayout.lengthOffset) >> 2] = RingLayout.paddingLength;
			words[(start + RingLayout.stampOffset) >> 2] = tail;
			start = this.#dataOffset;
			position = (tail + unitsToEnd) | 0;
		}
		words[(start + RingLayout.lengthOffset) >> 2] = bytes;
		words[(start + RingLayout.stampOffset) >> 2] = position;
		this.#claimedTail = (tail + neededUnits) | 0;
		return start + RingLayout.recordHeaderBytes;
	}

	/** Publishes the claimed record. The tail is stored last: a reader that sees it sees the whole record. */
	commit(): void {
		if (this.#claimedTail === this.#tail)
			throw new RingError(RingErrorCode.misuse, "nothing is claimed", "commit once after each claim that did not return -1");
		this.#tail = this.#claimedTail;
		Atomics.store(this.#words, tailWord, this.#tail);
	}

	/** Claims, copies and commits. False when the ring is full. */
	write(payload: Uint8Array): boolean {
		const at = this.claim(payload.length);
		if (at < 0) return false;
		this.#ring.u8.set(payload, at);
		this.commit();
		return true;
	}

	/** Bytes that the slowest live reader has not read, headers and padding included; 0 without readers. */
	depthBytes(): number {
		return this.#usedUnits() * RingLayout.unitBytes;
	}

	/** Claims that found the ring full, over all writers of this ring. */
	get backpressuredCount(): number {
		return this.#ring.counters[backpressuredCounter];
	}

	/** Reads the heads again. Kept out of `claim` so that the common path stays small enough to be inlined. */
	#findRoom(neededUnits: number): boolean {
		const usedUnits = this.#usedUnits();
		this.#slowestHead = (this.#tail - usedUnits) | 0;
		if (usedUnits + neededUnits <= this.#capacityUnits) return true;
		this.#ring.counters[backpressuredCounter]++;
		return false;
	}

	/**
	 * Units between the slowest live head and the tail. The head of a reader that is just joining can be more than a lap old (see `openSlot`);
	 * then the ring counts as full for the few instructions until it is corrected.
	 */
	#usedUnits(): number {
		let usedUnits = 0;
		for (let slot = 0; slot < this.#ring.readersMax; slot++) {
			const line = readerLineOffset(this.#ring, slot) >> 2;
			if (Atomics.load(this.#words, line + (RingLayout.stateOffset >> 2)) !== ReaderState.live) continue;
			const behind = (this.#tail - Atomics.load(this.#words, line + (RingLayout.headOffset >> 2))) >>> 0;
			if (behind > usedUnits) usedUnits = behind;
		}
		return Math.min(usedUnits, this.#capacityUnits);
	}

	#tooLong(bytes: number): RingError {
		return new RingError(
			RingErrorCode.recordTooLong,
			`a record of ${bytes} bytes`,
			`this ring takes whole numbers up to ${this.#recordBytesMax}, an eighth of its capacity`,
		);
	}
}
