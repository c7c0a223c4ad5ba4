import type { Ring } from "./ring.ts";
import { ReaderState, RingLayout, readerLineOffset } from "./ring-descriptor.ts";
import { RingError, RingErrorCode } from "./ring-error.ts";

/**
 * Activates a slot at the ring's tail for a reader that does not exist yet. Records from now on are kept for it, and it takes over with
 * `RingReader.resume`. A slot that is live already loses its unread records.
 *
 * Called by the process that starts the readers. Nothing else may use the slot meanwhile.
 */
export function registerReader(ring: Ring, slot: number): void {
	checkSlot(ring, slot);
	openSlot(ring, slot);
}

/**
 * Frees the slot of a reader whose process was reaped, so that the writer no longer waits for it. If the reader still ran, the writer
 * would overwrite records while it reads them (it would notice: `RING_CORRUPT`).
 */
export function releaseReader(ring: Ring, slot: number): void {
	checkSlot(ring, slot);
	closeSlot(ring, slot);
}

/**
 * Whether every live reader has read everything before `position`, a tail of this ring at most 2^31 units ago. Any process may call it.
 * A reader moves its head when its read ends, so records before it have been visited. A reader that is just joining may appear to be
 * behind; ask again.
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
 * Activates the slot at the tail and returns the position.
 *
 * The tail is read twice because the writer caches the slowest head. Suppose it checks the slots just before this one becomes live, with
 * its tail at `seen`: then it writes up to `seen + capacity` without another check. The second read happens after the slot is live, so
 * after that check: it returns `seen` or more, and nothing from there on can be overwritten. The first head may be older, which only makes
 * a writer that checks in between more careful. It is needed because the head of an earlier reader may be so old that it seems to be ahead.
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
