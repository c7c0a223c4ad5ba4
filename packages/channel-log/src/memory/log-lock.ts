import { LockWord, LogLayout } from "./log-descriptor.ts";
import type { LogMemory } from "./log-memory.ts";

const lockWord = (LogLayout.lockOffset >> 2) + LockWord.holder;
const holdsWord = (LogLayout.lockOffset >> 2) + LockWord.holds;

/** Encodes a slot and incarnation as the holder of a lock. Never 0. */
export function holderOf(slot: number, incarnation: number): number {
	return (incarnation * LogLayout.readersMax + slot + 1) | 0;
}

export function slotOfHolder(holder: number): number {
	return (holder - 1) & (LogLayout.readersMax - 1);
}

/**
 * Takes the lock of a log, or returns false at once. A lock is held for a microsecond, unless its holder is preempted or paused. **It is never
 * taken from a process that has not been reaped**, because a paused process would continue to write.
 */
export function tryLock({ words }: LogMemory, self: number): boolean {
	if (Atomics.compareExchange(words, lockWord, 0, self) !== 0) return false;
	// Distinguishes a new hold by the same process from one that continues.
	words[holdsWord] = (words[holdsWord]! + 1) | 0;
	return true;
}

/**
 * Releases the lock. The store is a full barrier: the next holder sees all stores of this one. So does a reader that goes to sleep: the holder
 * checks for sleepers only after this store, and a reader checks the tail only after it has announced that it sleeps.
 */
export function unlock({ words }: LogMemory): void {
	Atomics.store(words, lockWord, 0);
}

/** Takes the lock from a process that has been reaped. False = that process does not hold it. */
export function takeLockFromDead({ words }: LogMemory, dead: number, self: number): boolean {
	return Atomics.compareExchange(words, lockWord, dead, self) === dead;
}

/** The holder of the lock (0 = none), and the number of the hold. */
export function lockState({ words }: LogMemory): { readonly holder: number; readonly hold: number } {
	const holder = Atomics.load(words, lockWord);
	return { holder, hold: Atomics.load(words, holdsWord) };
}
