import { checkSlot, closeSlot, openSlot, slotIsLive } from "./reader-slots.ts";
import type { Ring } from "./ring.ts";
import { RingLayout, readerLineOffset } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

const tailWord = RingLayout.tailOffset >> 2;

/** Gets one record: `u8[start] … u8[end - 1]`, the same bytes in `view`. They are valid until `read` returns. */
export type VisitRecord = (u8: Uint8Array, view: DataView, start: number, end: number) => void;

/** Like `VisitRecord`; returns whether to go on. */
export type VisitAhead = (u8: Uint8Array, view: DataView, start: number, end: number) => boolean;

/**
 * A reading end of a ring. **One per slot, used by one thread.** Each reader gets every record from where it joined, in the order of
 * writing. A reader that joins and then stops reading blocks the writer, until its slot is freed with `releaseReader` after its death.
 *
 * A batch reads the tail once and moves the reader's head once. It allocates nothing. Sleep when there are no records: a reader that spins
 * takes the tail's cache line from the writer at every record, and both become several times slower.
 */
export class RingReader {
	readonly #ring: Ring;
	readonly #slot: number;
	readonly #headWord: number;
	readonly #capacityUnits: number;
	#head = 0;
	/** Up to here, `ahead` has visited the records. Never behind the head. */
	#seen = 0;
	#live = false;
	#reading = false;
	#bytesRead = 0;

	constructor(ring: Ring, slot: number) {
		checkSlot(ring, slot);
		this.#ring = ring;
		this.#slot = slot;
		this.#headWord = (readerLineOffset(ring, slot) + RingLayout.headOffset) >> 2;
		this.#capacityUnits = ring.capacityBytes / RingLayout.unitBytes;
	}

	/** Starts at the tail: reads records from now on. */
	join(): void {
		this.#refuseWithinRead("join");
		this.#head = openSlot(this.#ring, this.#slot);
		this.#seen = this.#head;
		this.#live = true;
	}

	/**
	 * Continues at the slot's head if the slot is live: it was registered in advance, or left by a reader whose process was reaped.
	 * Returns false, and does nothing, if the slot is free.
	 */
	resume(): boolean {
		this.#refuseWithinRead("resume");
		if (!slotIsLive(this.#ring, this.#slot)) return false;
		this.#head = Atomics.load(this.#ring.words, this.#headWord);
		this.#seen = this.#head;
		this.#live = true;
		return true;
	}

	/** Frees the slot: the writer no longer waits for this reader. Inside a read, the current record is the last one. */
	leave(): void {
		if (!this.#live) return;
		this.#live = false;
		closeSlot(this.#ring, this.#slot);
	}

	/**
	 * Visits up to `max` records and returns how many. Returns 0 before `join` or `resume`.
	 *
	 * If `visit` throws, the batch ends and the error is rethrown. The record counts as read, so that a bad record does not block the rest.
	 * @param bytesMax ends the batch after the record with which so many bytes were visited.
	 * @throws RingError when the shared bytes are inconsistent. The reader does not move, so every further read throws too: leave, or join
	 * again at the tail.
	 */
	read(max: number, visit: VisitRecord, bytesMax: number = Number.POSITIVE_INFINITY): number {
		this.#bytesRead = 0;
		if (!this.#live) return 0;
		this.#refuseWithinRead("read");
		const { words, u8, view, dataOffset, recordBytesMax } = this.#ring;
		const capacityUnits = this.#capacityUnits;
		const tail = Atomics.load(words, tailWord);
		let head = this.#head;
		let unitsLeft = (tail - head) >>> 0;
		if (unitsLeft === 0) return 0;
		if (unitsLeft > capacityUnits) throw this.#corrupt(head, `the tail ${tail} is more than a lap ahead`);
		let count = 0;
		let bytes = 0;
		this.#reading = true;
		try {
			while (unitsLeft > 0 && count < max && bytes < bytesMax && this.#live) {
				const index = head & (capacityUnits - 1);
				const unitsToEnd = capacityUnits - index;
				const start = dataOffset + (index << RingLayout.unitShift);
				// Read each word only once, so that the checked value is the one used, even if the memory changes meanwhile.
				const length = words[(start + RingLayout.lengthOffset) >> 2];
				const stamp = words[(start + RingLayout.stampOffset) >> 2];
				if (stamp !== head) throw this.#corrupt(head, `the record is stamped ${stamp}`);
				if (length === RingLayout.paddingLength) {
					if (unitsToEnd > unitsLeft) throw this.#corrupt(head, "padding reaches past the tail");
					head = (head + unitsToEnd) | 0;
					unitsLeft -= unitsToEnd;
					continue;
				}
				if (length < 0 || length > recordBytesMax) throw this.#corrupt(head, `the record has a length of ${length} bytes`);
				const units = (length + RingLayout.recordHeaderBytes + RingLayout.unitBytes - 1) >>> RingLayout.unitShift;
				if (units > unitsLeft || units > unitsToEnd)
					throw this.#corrupt(head, `a record of ${length} bytes reaches past the ${units > unitsLeft ? "tail" : "end"}`);
				head = (head + units) | 0;
				unitsLeft -= units;
				count++;
				bytes += length;
				const payload = start + RingLayout.recordHeaderBytes;
				visit(u8, view, payload, payload + length);
			}
		} finally {
			this.#reading = false;
			this.#bytesRead = bytes;
			this.#head = head;
			if (((head - this.#seen) | 0) > 0) this.#seen = head;
			if (this.#live) Atomics.store(words, this.#headWord, head);
		}
		return count;
	}

	/**
	 * Visits the unread records that it has not visited before, until `visit` returns false. They stay unread: `read` visits them again. Reads one line of
	 * memory per record, besides what `visit` reads. Ends at a record that is inconsistent, which `read` reports. If `visit` throws, the error is
	 * rethrown.
	 * @returns false if `visit` has ended it.
	 */
	ahead(visit: VisitAhead): boolean {
		if (!this.#live) return true;
		this.#refuseWithinRead("ahead");
		const { words, u8, view, dataOffset, recordBytesMax } = this.#ring;
		const capacityUnits = this.#capacityUnits;
		const tail = Atomics.load(words, tailWord);
		let at = this.#seen;
		this.#reading = true;
		try {
			while (this.#live && ((tail - at) | 0) > 0) {
				const index = at & (capacityUnits - 1);
				const start = dataOffset + (index << RingLayout.unitShift);
				const length = words[(start + RingLayout.lengthOffset) >> 2];
				if (words[(start + RingLayout.stampOffset) >> 2] !== at) return true;
				if (length === RingLayout.paddingLength) {
					at = (at + capacityUnits - index) | 0;
					continue;
				}
				const units = (length + RingLayout.recordHeaderBytes + RingLayout.unitBytes - 1) >>> RingLayout.unitShift;
				if (length < 0 || length > recordBytesMax || units > capacityUnits - index) return true;
				at = (at + units) | 0;
				const payload = start + RingLayout.recordHeaderBytes;
				if (!visit(u8, view, payload, payload + length)) return false;
			}
			return true;
		} finally {
			this.#reading = false;
			this.#seen = at;
		}
	}

	/** Bytes of the records that the last `read` visited. */
	get bytesRead(): number {
		return this.#bytesRead;
	}

	hasRecords(): boolean {
		return this.#live && Atomics.load(this.#ring.words, tailWord) !== this.#head;
	}

	/** Unread bytes, headers and padding included. */
	backlogBytes(): number {
		if (!this.#live) return 0;
		return ((Atomics.load(this.#ring.words, tailWord) - this.#head) >>> 0) * RingLayout.unitBytes;
	}

	#refuseWithinRead(what: string): void {
		if (this.#reading)
			throw new RingError(
				RingErrorCode.misuse,
				`${what} within a read`,
				"call it after read has returned; only leave is allowed within visit",
			);
	}

	#corrupt(position: number, what: string): RingError {
		return new RingError(
			RingErrorCode.corrupt,
			`reader ${this.#slot} at position ${position}: ${what}`,
			"something else writes to this memory, or the slot was released under a running reader; restart the reader",
		);
	}
}
