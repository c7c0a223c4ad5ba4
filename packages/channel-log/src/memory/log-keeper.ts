import { monotonicMs } from "@shardcast/wire";
import { closeReader } from "../records/log-readers.ts";
import { countsOf, SequencedLog } from "../sequenced-log.ts";
import { type LogCounter, LogLayout } from "./log-descriptor.ts";
import { fillOf, type LogFill } from "./log-fill.ts";
import { holderOf, lockState, slotOfHolder } from "./log-lock.ts";
import type { LogMemory } from "./log-memory.ts";

/** A lock that its holder does not give back. */
export interface HeldLock {
	readonly log: number;
	readonly slot: number;
	readonly heldMs: number;
}

interface Seen {
	holder: number;
	hold: number;
	heldMs: number;
}

/**
 * What the supervisor does for the logs: it finds processes that keep a lock, and clears up after dead ones. **Nobody takes a lock from a process
 * that may still run**: the supervisor kills it, and calls `memberDied` once it has been reaped. One instance.
 */
export class LogKeeper {
	readonly #memories: readonly LogMemory[];
	readonly #logs: readonly SequencedLog[];
	readonly #seen: readonly Seen[];
	#locksFreed = 0;

	/** @param slot of the supervisor itself: none of the members'. */
	constructor(memories: readonly LogMemory[], slot: number = LogLayout.readersMax - 1) {
		this.#memories = memories;
		// Members' incarnations begin at 1.
		this.#logs = memories.map((memory) => new SequencedLog(memory, holderOf(slot, 0)));
		this.#seen = memories.map(() => ({ holder: 0, hold: 0, heldMs: 0 }));
	}

	/**
	 * The slot's process, in that life, is certainly dead: nobody waits for its cursors any more, what it had committed is finished, and its locks
	 * are free. Returns how many it held.
	 */
	memberDied(slot: number, incarnation: number): number {
		let held = 0;
		for (const [index, log] of this.#logs.entries()) {
			closeReader(this.#memories[index]!, slot);
			if (log.releaseDead(holderOf(slot, incarnation))) held++;
		}
		this.#locksFreed += held;
		return held;
	}

	/** What the logs have counted since the cluster was started, and the locks that were taken from dead processes. */
	counts(): Record<LogCounter | "locksFreed", number> {
		return { ...countsOf(this.#logs), locksFreed: this.#locksFreed };
	}

	/** @param nowMs CLOCK_MONOTONIC. */
	fill(nowMs = monotonicMs()): LogFill {
		return fillOf(this.#memories, nowMs);
	}

	/**
	 * The locks that have been held, in one and the same hold, for more than `limitMs` between looks.
	 * @param sinceMs how much time their holders have had since the last look.
	 */
	heldLocks(sinceMs: number, limitMs: number): HeldLock[] {
		const held: HeldLock[] = [];
		for (const [log, memory] of this.#memories.entries()) {
			const seen = this.#seen[log]!;
			const { holder, hold } = lockState(memory);
			const goesOn = holder !== 0 && holder === seen.holder && hold === seen.hold;
			seen.heldMs = goesOn ? seen.heldMs + sinceMs : 0;
			seen.holder = holder;
			seen.hold = hold;
			if (seen.heldMs > limitMs) held.push({ log, slot: slotOfHolder(holder), heldMs: seen.heldMs });
		}
		return held;
	}
}
