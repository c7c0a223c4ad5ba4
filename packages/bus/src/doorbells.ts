import { Bell, type BellRinger, isOutOfDescriptors, NativeError } from "@shardcast/native";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";

/**
 * Wakes members that sleep: those who put something where a member will look, then call `wake`. One per thread; the bus
 * has its own, the balancer and the supervisor make one each.
 *
 * Costs one atomic load while the member is awake, one system call when it sleeps.
 */
export class Doorbells {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	readonly #ringers = new Map<number, { readonly generation: number; readonly ringer: BellRinger }>();

	constructor(directory: ClusterDirectory, board: Scoreboard) {
		this.#directory = directory;
		this.#board = board;
	}

	/** Call after the change that the member is to see. True when it slept and the bell was rung. */
	wake(slot: number): boolean {
		const row = this.#board.row(slot);
		const sleepNumber = row.sleeping;
		if (sleepNumber === 0) return false;
		// Ring first: a waker that is killed after it had cleared the word would leave a sleeper whom nobody wakes any more.
		const rung = this.#ring(row);
		// One that could not be rung still sleeps, for the next waker; until then it looks by itself at each heartbeat.
		if (rung) row.clearSleeping(sleepNumber);
		return rung;
	}

	/** Opens the members' bells before they are needed, when there may be no descriptor left. */
	openAll(): void {
		for (const row of this.#board.members()) this.#ringer(row);
	}

	wakeAll(): void {
		for (const { slot } of this.#board.members()) this.wake(slot);
	}

	/** For the balancer, after each message of descriptors that it has put into the shard's handoff socket. */
	announceHandoff(slot: number): void {
		const row = this.#board.row(slot);
		row.handoffBatches = (row.handoffBatches + 1) | 0;
		this.wake(slot);
	}

	close(): void {
		for (const { ringer } of this.#ringers.values()) ringer.close();
		this.#ringers.clear();
	}

	#ring(row: BoardRow): boolean {
		const ringer = this.#ringer(row);
		ringer?.ring();
		return ringer !== null;
	}

	/** Null when the member has been removed, and while this process may open no more files. A bell lives as long as its ring. */
	#ringer(row: BoardRow): BellRinger | null {
		const generation = row.ringGeneration;
		const known = this.#ringers.get(row.slot);
		if (known?.generation === generation) return known.ringer;
		known?.ringer.close();
		this.#ringers.delete(row.slot);
		try {
			const ringer = Bell.ringer(this.#directory.bellPath(row.slot));
			this.#ringers.set(row.slot, { generation, ringer });
			return ringer;
		} catch (error) {
			if (error instanceof NativeError && (error.code === "ENOENT" || isOutOfDescriptors(error))) return null;
			throw error;
		}
	}
}
