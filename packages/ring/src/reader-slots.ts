import type { Ring } from "./ring.ts";
import { ReaderState, RingLayout, readerLineOffset } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

/**
 * Makes a slot live at the ring's tail, on behalf of a reader that does not exist yet: what is written from now on is kept
 * for it, and it takes over with `RingReader.resume`. A slot that is live already loses what it had not read.
 *
 * For whoever starts the readers; nobody else may be using the slot.
 */
export function registerReader(ring: Ring, slot: number): void {
	checkSlot(ring, slot);
	openSlot(ring, slot);
}

/**
 * Frees the slot of a reader that is certainly dead, so that the writer no longer waits for it. Of a reader that still
 * runs, the writer would overwrite the records under its hands (it would find out: `RING_CORRUPT`).
 */
export function releaseReader(ring: Ring, slot: number): void {
	checkSlot(ring, slot);
	closeSlot(ring, slot);
}

/**
 * Whether every live reader has read all that lies before `position`, a tail of this ring not longer ago than 2^31 units. Anybody
 * may ask. A reader counts its records when its read ends, so what is read has been visited. One that is just joining may be
 * taken for one that is behind; ask again.
 */
export function hasBeenRead(ring: Ring, position: number): boolean {
	for (let slot = 0; slot < ring.readersMax; slot++) {
		const line = readerLineOffset(ring, slot) >> 2;
		if (Atomics.load(ring.words, line + (RingLayout.stateOffset >> 2)) !== ReaderState.live) continue;
		if (((Atomics.load(ring.words, line + (RingLayout.headOffset >> 2)) - position) | 0) < 0) return false;
	}
	return true;
}

/**
 * Live at the tail; returns the position.
 *
 * The tail is read twice because the writer caches the slowest head. Let it look at the slots just before this one becomes
 * live, when its tail is at `seen`: from then on it writes up to `seen + capacity` without looking again. The second read
 * happens after the slot has become live, hence after that look, so it yields `seen` or more, and nothing from there on
 * can be overwritten. The first head may be older than that, which only makes a writer that looks in between more careful;
 * but what an earlier reader left there may be so old that it looks as if it were ahead.
 */
export function openSlot(ring: Ring, slot: number): number {
	const { words } = ring;
	const line = readerLineOffset(ring, slot) >> 2;
	Atomics.store(words, line + (RingLayout.headOffset >> 2), Atomics.load(words, RingLayout.tailOffset >> 2));
	Atomics.store(words, line + (RingLayout.stateOffset >> 2), ReaderState.live);
	const position = Atomics.load(words, RingLayout.tailOffset >> 2);
	Atomics.store(words, line + (RingLayout.headOffset >> 2), position);
	return position;
}

export function closeSlot(ring: Ring, slot: number): void {
	Atomics.store(ring.words, (readerLineOffset(ring, slot) + RingLayout.stateOffset) >> 2, ReaderState.free);
}

export function slotIsLive(ring: Ring, slot: number): boolean {
	return Atomics.load(ring.words, (readerLineOffset(ring, slot) + RingLayout.stateOffset) >> 2) === ReaderState.live;
}

export function checkSlot(ring: Ring, slot: number): void {
	if (!Number.isInteger(slot) || slot < 0 || slot >= ring.readersMax)
		throw new RingError(RingErrorCode.badArgument, `reader slot ${slot}`, `this ring has slots 0 to ${ring.readersMax - 1}`);
}
