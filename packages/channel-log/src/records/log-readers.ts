import { LogLayout, ReaderState } from "../memory/log-descriptor.ts";
import { fence, type LogMemory } from "../memory/log-memory.ts";

const lineFloats = LogLayout.lineBytes >> 3;
const lineWords = LogLayout.lineBytes >> 2;
const cursorFloat = (LogLayout.readersOffset + LogLayout.cursorOffset) >> 3;
const stateWord = (LogLayout.readersOffset + LogLayout.stateOffset) >> 2;
const tailFloat = LogLayout.tailOffset >> 3;

/**
 * Activates a reader's slot at the tail and returns the position.
 *
 * The tail is read twice because writers cache the slowest cursor. A value cached before this slot was live is at most the tail of that
 * moment, and the second read returns that tail or a later one: nothing from there on can be overwritten.
 */
export function openReader({ words, floats }: LogMemory, slot: number): number {
	floats[cursorFloat + slot * lineFloats] = floats[tailFloat]!;
	Atomics.store(words, stateWord + slot * lineWords, ReaderState.live);
	fence();
	const position = floats[tailFloat]!;
	floats[cursorFloat + slot * lineFloats] = position;
	return position;
}

/** Frees the slot, so that no writer waits for it. Called by the reader, or by the supervisor after the reader's process was reaped. */
export function closeReader({ words }: LogMemory, slot: number): void {
	Atomics.store(words, stateWord + slot * lineWords, ReaderState.free);
}

/** Marks everything before `position` as read. */
export function moveCursor({ floats }: LogMemory, slot: number, position: number): void {
	// The bytes before it may be overwritten from now on, so all reads of them must come first.
	fence();
	floats[cursorFloat + slot * lineFloats] = position;
}

/** The slowest cursor, or `tail` when no reader is behind. */
export function slowestCursor({ words, floats }: LogMemory, tail: number): number {
	let slowest = tail;
	for (let slot = 0; slot < LogLayout.readersMax; slot++) {
		if (Atomics.load(words, stateWord + slot * lineWords) !== ReaderState.live) continue;
		const cursor = floats[cursorFloat + slot * lineFloats]!;
		if (cursor < slowest) slowest = cursor;
	}
	return slowest;
}
