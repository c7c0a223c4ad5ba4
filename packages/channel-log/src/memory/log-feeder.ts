import { LogLayout } from "./log-descriptor.ts";
import type { LogMemory } from "./log-memory.ts";

const feederWord = LogLayout.feederOffset >> 2;

/** The shard that copies publications of other machines into a log, encoded by `holderOf`; 0 = none. */
export function feederOf({ words }: LogMemory): number {
	return Atomics.load(words, feederWord);
}

/** Becomes the feeder of a log that has none. Two feeders at once would not harm the log, only double the work. */
export function takeFeed({ words }: LogMemory, self: number): boolean {
	return Atomics.compareExchange(words, feederWord, 0, self) === 0;
}

/** Call when the feeder stops, or its process was reaped. */
export function releaseFeed({ words }: LogMemory, feeder: number): void {
	Atomics.compareExchange(words, feederWord, feeder, 0);
}
