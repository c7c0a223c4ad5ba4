import { Doorbell, type DoorbellRinger, isOutOfDescriptors, NativeError } from "@shardcast/native";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";

/**
 * Wakes sleeping members: put work where the member will find it, then call `wake`. One per thread; the bus, the balancer and the supervisor
 * have one each.
 *
 * Costs one atomic load while the member is awake, one system call when it sleeps.
 */
export class Doorbells {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	readonly #ringers = new Map<number, { readonly generation: number; readonly ringer: DoorbellRinger }>();

	constructor(directory: ClusterDirectory, board: Scoreboard) {
		this.#directory = directory;
		this.#board = board;
	}

	/** Call after the change that the member must see. Returns true if it slept and its doorbell was rung. */
	wake(slot: number): boolean {
		const row = this.#board.row(slot);
		const sleepNumber = row.sleeping;
		if (sleepNumber === 0) return false;
		// Ring first: if the waker were killed after clearing the word, nothing would wake the sleeper.
		const rung = this.#ring(row);
		// If the bell could not be rung, the member still sleeps, for the next waker. Until then it checks at each heartbeat.
		if (rung) row.clearSleeping(sleepNumber);
		return rung;
	}

	/** Opens all members' bells in advance, since there may be no descriptor left when they are needed. */
	openAll(): void {
		for (const row of this.#board.members()) this.#ringer(row);
	}

	wakeAll(): void {
		for (const { slot } of this.#board.members()) this.wake(slot);
	}

	/** Called by the balancer after each message of descriptors that it has sent to the shard's handoff socket. */
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

	/** Null when the member was removed, and while this process can open no more files. A bell exists as long as its ring. */
	#ringer(row: BoardRow): DoorbellRinger | null {
		const generation = row.ringGeneration;
		const known = this.#ringers.get(row.slot);
		if (known?.generation === generation) return known.ringer;
		known?.ringer.close();
		this.#ringers.delete(row.slot);
		try {
			const ringer = Doorbell.ringer(this.#directory.bellPath(row.slot));
			this.#ringers.set(row.slot, { generation, ringer });
			return ringer;
		} catch (error) {
			if (error instanceof NativeError && (error.code === "ENOENT" || isOutOfDescriptors(error))) return null;
			throw error;
		}
	}
}
