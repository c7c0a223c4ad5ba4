import { type Ring, RingReader, type VisitRecord } from "@shardcast/ring";
import { BusError, BusErrorCode } from "@shardcast/scoreboard";
import type { VisitOrigin, VisitOriginAhead } from "./bus-link.ts";

interface Entry {
	readonly origin: number;
	readonly generation: number;
	readonly reader: RingReader;
	/** Created once, so that reading allocates nothing. */
	readonly visit: VisitRecord;
	/** Unmaps the ring. */
	readonly release: () => void;
	/** The origin is gone. The entry is removed when its ring has been read to the end. */
	retired: boolean;
}

const nobody: VisitOrigin = () => {};

/** The rings that a member reads, in turn. Used on one thread. */
export class ReaderSet {
	readonly #slot: number;
	#entries: Entry[] = [];
	#first = 0;
	#retiredCount = 0;
	#visit = nobody;

	/** `slot` is this member's reader slot in every ring. */
	constructor(slot: number) {
		this.#slot = slot;
	}

	has(origin: number, generation: number): boolean {
		return this.#entries.some((entry) => entry.origin === origin && entry.generation === generation);
	}

	/**
	 * Starts to read a ring.
	 * @param resume start where the slot was registered in advance, if it was; otherwise at the tail.
	 */
	add(origin: number, generation: number, ring: Ring, resume: boolean, release: () => void): void {
		const reader = new RingReader(ring, this.#slot);
		if (!resume || !reader.resume()) reader.join();
		const visit: VisitRecord = (u8, view, start, end) => this.#visit(origin, u8, view, start, end);
		this.#entries.push({ origin, generation, reader, visit, release, retired: false });
	}

	/** Retires all rings for which `isPresent` returns false. */
	retain(isPresent: (origin: number, generation: number) => boolean): void {
		for (const entry of this.#entries) {
			if (entry.retired || isPresent(entry.origin, entry.generation)) continue;
			entry.retired = true;
			this.#retiredCount++;
		}
		this.#dropRetired();
	}

	read(max: number, visit: VisitOrigin, bytesMax = Number.POSITIVE_INFINITY): number {
		if (this.#visit !== nobody)
			throw new BusError(BusErrorCode.misuse, "read within a read", "note what there is to do and do it after read has returned");
		const entries = this.#entries;
		const count = entries.length;
		if (count === 0) return 0;
		let at = this.#first < count ? this.#first : 0;
		this.#first = at + 1;
		let left = max;
		let bytesLeft = bytesMax;
		this.#visit = visit;
		try {
			for (let turn = 0; turn < count && left > 0 && bytesLeft > 0; turn++) {
				const entry = entries[at];
				left -= entry.reader.read(left, entry.visit, bytesLeft);
				bytesLeft -= entry.reader.bytesRead;
				at = at + 1 < count ? at + 1 : 0;
			}
		} finally {
			this.#visit = nobody;
		}
		if (this.#retiredCount > 0) this.#dropRetired();
		return max - left;
	}

	/** See `BusLink.ahead`. */
	ahead(visit: VisitOriginAhead): boolean {
		for (const { origin, reader } of this.#entries)
			if (!reader.ahead((u8, view, start, end) => visit(origin, u8, view, start, end))) return false;
		return true;
	}

	hasRecords(): boolean {
		for (const entry of this.#entries) if (entry.reader.hasRecords()) return true;
		return false;
	}

	backlogBytes(): number {
		let bytes = 0;
		for (const entry of this.#entries) bytes += entry.reader.backlogBytes();
		return bytes;
	}

	close(): void {
		for (const entry of this.#entries) {
			entry.reader.leave();
			entry.release();
		}
		this.#entries = [];
		this.#retiredCount = 0;
	}

	/** A retired ring has no writer, so an empty one stays empty. */
	#dropRetired(): void {
		if (this.#retiredCount === 0) return;
		this.#entries = this.#entries.filter((entry) => {
			if (!entry.retired || entry.reader.hasRecords()) return true;
			entry.reader.leave();
			entry.release();
			this.#retiredCount--;
			return false;
		});
	}
}
