import { LogLayout } from "./log-descriptor.ts";
import type { LogMemory } from "./log-memory.ts";

const feederWord = LogLayout.feederOffset >> 2;

/** Which shard brings what other machines publish into a log: `holderOf` it in its present life; 0 = nobody. */
export function feederOf({ words }: LogMemory): number {
	return Atomics.load(words, feederWord);
}

/** Becomes the feeder of a log that has none. Two feeders at once would do no harm to the log, only double the work. */
export function takeFeed({ words }: LogMemory, self: number): boolean {
	return Atomics.compareExchange(words, feederWord, 0, self) === 0;
}

/** The feeder stops, or is certainly dead. */
export function releaseFeed({ words }: LogMemory, feeder: number): void {
	Atomics.compareExchange(words, feederWord, feeder, 0);
}
