import { LogLayout, ReaderState } from "../memory/log-descriptor.ts";
import { fence, type LogMemory } from "../memory/log-memory.ts";

const lineFloats = LogLayout.lineBytes >> 3;
const lineWords = LogLayout.lineBytes >> 2;
const cursorFloat = (LogLayout.readersOffset + LogLayout.cursorOffset) >> 3;
const stateWord = (LogLayout.readersOffset + LogLayout.stateOffset) >> 2;
const tailFloat = LogLayout.tailOffset >> 3;

/**
 * Makes a reader's slot live at the tail; returns the position.
 *
 * The tail is read twice because each writer remembers the slowest cursor that it saw. Whatever a writer saw before this slot was live, it lies at
 * or before the tail of that moment, and the second read yields that tail or a later one: nothing from there on is written over.
 */
export function openReader({ words, floats }: LogMemory, slot: number): number {
	floats[cursorFloat + slot * lineFloats] = floats[tailFloat]!;
	Atomics.store(words, stateWord + slot * lineWords, ReaderState.live);
	fence();
	const position = floats[tailFloat]!;
	floats[cursorFloat + slot * lineFloats] = position;
	return position;
}

/** No writer waits for this slot any more. For the reader itself, and for the supervisor once the reader is certainly dead. */
export function closeReader({ words }: LogMemory, slot: number): void {
	Atomics.store(words, stateWord + slot * lineWords, ReaderState.free);
}

/** Everything before `position` has been read. */
export function moveCursor({ floats }: LogMemory, slot: number, position: number): void {
	// The bytes before it may be written over from now on, so all reads of them come first.
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
