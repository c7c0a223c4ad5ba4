import type { Ring } from "./ring.ts";
import { ReaderState, RingLayout, readerLineOffset } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const tailWord = RingLayout.tailOffset >> 2;
const backpressuredCounter = RingLayout.backpressuredOffset >> 3;

/**
 * The writing end of a ring. **One at a time per ring, used by one thread.** A writer that dies leaves the tail where it
 * was, so half a record is never seen; once it is certainly dead, a new RingWriter on the same ring goes on from there.
 *
 * When the ring is full for the slowest live reader, `claim` answers -1 (counted in `backpressuredCount`) and nothing is
 * overwritten; slowing down the source is the caller's business. Without a live reader it is never full.
 *
 * Cost per record: no allocation, one atomic store (the tail). The readers' heads, each on a cache line that travels
 * between cores, are looked at only when what is known of them says that the ring is full.
 */
export class RingWriter {
	readonly #ring: Ring;
	readonly #words: Int32Array;
	readonly #dataOffset: number;
	readonly #capacityUnits: number;
	readonly #recordBytesMax: number;
	/** As published. */
	#tail: number;
	/** Where the tail goes on commit; equal to `#tail` when nothing is claimed. */
	#claimedTail: number;
	/** No live reader is behind this position. */
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
	 * Where to write a record of `bytes` bytes, as an offset into the ring's `u8` and `view` (a multiple of 8), or -1 when
	 * the ring is full. The bytes there are arbitrary until written. A claim that is not committed is dropped by the next.
	 * @throws RingError when no record can be that long.
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

	/** Publishes the claimed record. The store of the tail comes last: whoever sees it sees the whole record. */
	commit(): void {
		if (this.#claimedTail === this.#tail)
			throw new RingError(RingErrorCode.misuse, "nothing is claimed", "commit once after each claim that did not answer -1");
		this.#tail = this.#claimedTail;
		Atomics.store(this.#words, tailWord, this.#tail);
	}

	/** Claim, copy and commit. False when the ring is full. */
	write(payload: Uint8Array): boolean {
		const at = this.claim(payload.length);
		if (at < 0) return false;
		this.#ring.u8.set(payload, at);
		this.commit();
		return true;
	}

	/** Bytes that the slowest live reader still has before it, headers and padding included; 0 without readers. */
	depthBytes(): number {
		return this.#usedUnits() * RingLayout.unitBytes;
	}

	/** Claims that found the ring full, over all writers that this ring has had. */
	get backpressuredCount(): number {
		return this.#ring.counters[backpressuredCounter];
	}

	/** Looks at the heads again. Kept out of `claim` so that the common path stays small enough to be inlined. */
	#findRoom(neededUnits: number): boolean {
		const usedUnits = this.#usedUnits();
		this.#slowestHead = (this.#tail - usedUnits) | 0;
		if (usedUnits + neededUnits <= this.#capacityUnits) return true;
		this.#ring.counters[backpressuredCounter]++;
		return false;
	}

	/**
	 * Units between the slowest live head and the tail. A reader that is just joining can show a head older than a whole lap
	 * (see `openSlot`); it counts as a full ring for the few instructions until it corrects itself.
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
