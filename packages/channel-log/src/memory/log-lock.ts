import { LockWord, LogLayout } from "./log-descriptor.ts";
import type { LogMemory } from "./log-memory.ts";

const lockWord = (LogLayout.lockOffset >> 2) + LockWord.holder;
const holdsWord = (LogLayout.lockOffset >> 2) + LockWord.holds;

/** A process in its present life, as a lock names its holder. Never 0. */
export function holderOf(slot: number, incarnation: number): number {
	return (incarnation * LogLayout.readersMax + slot + 1) | 0;
}

export function slotOfHolder(holder: number): number {
	return (holder - 1) & (LogLayout.readersMax - 1);
}

/**
 * Takes the lock of a log, or fails at once. A lock is held for a microsecond, unless its holder is preempted or paused. **It is never taken from
 * a process that has not been reaped**, because a paused process would continue to write.
 */
export function tryLock({ words }: LogMemory, self: number): boolean {
	if (Atomics.compareExchange(words, lockWord, 0, self) !== 0) return false;
	// Distinguishes a new hold by the same process from one that continues.
	words[holdsWord] = (words[holdsWord]! + 1) | 0;
	return true;
}

/**
 * Everything that the holder has stored is seen by whoever locks next, and by a reader that goes to sleep: the holder looks at who sleeps only
 * after this store, which is a full barrier, as a reader looks at the tail only after it has said that it sleeps.
 */
export function unlock({ words }: LogMemory): void {
	Atomics.store(words, lockWord, 0);
}

/** Takes the lock of a process that is certainly dead. False = that process does not hold it. */
export function takeFromDead({ words }: LogMemory, dead: number, self: number): boolean {
	return Atomics.compareExchange(words, lockWord, dead, self) === dead;
}

/** The holder of the lock (0 = none), and its hold. */
export function lockState({ words }: LogMemory): { readonly holder: number; readonly hold: number } {
	const holder = Atomics.load(words, lockWord);
	return { holder, hold: Atomics.load(words, holdsWord) };
}
