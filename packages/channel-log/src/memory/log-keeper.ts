import { monotonicMs } from "@shardcast/wire";
import { closeReader } from "../records/log-readers.ts";
import { countsOf, SequencedLog } from "../sequenced-log.ts";
import { type LogCounter, LogLayout } from "./log-descriptor.ts";
import { releaseFeed } from "./log-feeder.ts";
import { fillOf, type LogFill } from "./log-fill.ts";
import { holderOf, lockState, slotOfHolder } from "./log-lock.ts";
import type { LogMemory } from "./log-memory.ts";

/** A lock that its holder does not release. */
interface HeldLock {
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
 * The supervisor's part: finds processes that do not release a lock, and cleans up after dead ones. **A lock is never taken from a process
 * that may still run**: the supervisor kills it, and calls `memberDied` after reaping it. One instance per cluster.
 */
export class LogKeeper {
	readonly #memories: readonly LogMemory[];
	readonly #logs: readonly SequencedLog[];
	readonly #seen: readonly Seen[];
	#locksFreed = 0;

	/** @param slot the supervisor's slot, which no member has. */
	constructor(memories: readonly LogMemory[], slot: number = LogLayout.readersMax - 1) {
		this.#memories = memories;
		// Members' incarnations begin at 1.
		this.#logs = memories.map((memory) => new SequencedLog(memory, holderOf(slot, 0)));
		this.#seen = memories.map(() => ({ holder: 0, hold: 0, heldMs: 0 }));
	}

	/**
	 * Call after the process of that incarnation has been reaped. Releases its reader cursors, finishes what it had committed, and frees its
	 * locks. Returns how many locks it held.
	 */
	memberDied(slot: number, incarnation: number): number {
		let held = 0;
		for (const [index, log] of this.#logs.entries()) {
			closeReader(this.#memories[index]!, slot);
			releaseFeed(this.#memories[index]!, holderOf(slot, incarnation));
			if (log.releaseDead(holderOf(slot, incarnation))) held++;
		}
		this.#locksFreed += held;
		return held;
	}

	/** Counters since the cluster started, including locks freed after deaths. */
	counts(): Record<LogCounter | "locksFreed", number> {
		return { ...countsOf(this.#logs), locksFreed: this.#locksFreed };
	}

	/** @param nowMs CLOCK_MONOTONIC. */
	fill(nowMs = monotonicMs()): LogFill {
		return fillOf(this.#memories, nowMs);
	}

	/**
	 * Locks that have been in the same hold for more than `limitMs`, measured between calls.
	 * @param sinceMs run time that the holders have had since the last call.
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
