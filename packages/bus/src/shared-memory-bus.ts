import { Doorbell, isOutOfDescriptors, NativeError, SharedFile } from "@shardcast/native";
import { attachRing, type Ring } from "@shardcast/ring";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { BusError, BusErrorCode, ShardState } from "@shardcast/scoreboard";
import { Doorbells } from "./doorbells.ts";
import { RingLink } from "./ring-link.ts";

/**
 * The bus between processes: one ring per member in shared memory, and a FIFO as doorbell. One per process and slot, used on one thread. The
 * supervisor creates the files (`createMemberFiles`) before the member joins, and removes the member after its death.
 *
 * A member may die at any instruction without blocking others: its ring's tail shows what it had published, the supervisor frees its reader
 * slots, and its successor joins under the same slot.
 */
export class SharedMemoryBus extends RingLink {
	readonly #directory: ClusterDirectory;
	readonly #board: Scoreboard;
	readonly #row: BoardRow;
	readonly #ownFile: SharedFile;
	readonly #bell: Doorbell;
	readonly #doorbells: Doorbells;
	#others: readonly number[] = [];
	#epoch: number;
	#sleepNumber = (Math.random() * 2 ** 31) | 0;
	#handoffBatchesSeen: number;
	#wake: () => void = () => {};

	/**
	 * Joins as `slot`. From now on this member gets all records.
	 * @throws BusError when the slot is not a member, or belongs to another process that has not been reaped; NativeError when its files cannot be mapped.
	 */
	static join(directory: ClusterDirectory, board: Scoreboard, slot: number): SharedMemoryBus {
		const row = board.row(slot);
		if (!row.present)
			throw new BusError(BusErrorCode.noSuchMember, `slot ${slot} is not a member`, "the supervisor calls createMemberFiles first");
		if (row.pid !== 0 && row.pid !== process.pid)
			throw new BusError(
				BusErrorCode.misuse,
				`slot ${slot} belongs to process ${row.pid}`,
				"the supervisor assigns a slot again after it has reaped that process",
			);
		// Store the state before reading which members are present: see createMemberFiles.
		if (row.state === ShardState.empty || row.state === ShardState.dead) row.state = ShardState.starting;
		const file = SharedFile.open(directory.ringPath(slot, row.ringGeneration));
		return new SharedMemoryBus(directory, board, row, file, attachRing(file.buffer));
	}

	private constructor(directory: ClusterDirectory, board: Scoreboard, row: BoardRow, ownFile: SharedFile, ownRing: Ring) {
		super(row.slot, ownRing);
		this.#directory = directory;
		this.#board = board;
		this.#row = row;
		this.#ownFile = ownFile;
		this.#doorbells = new Doorbells(directory, board);
		this.#handoffBatchesSeen = row.handoffBatches;
		this.#epoch = board.membershipEpoch;
		this.#takeUpMembers(false, this.#epoch);
		this.#bell = Doorbell.open(directory.bellPath(row.slot));
		this.#bell.listen(() => this.#woken());
	}

	override ringWaiters(): void {
		if (this.closed) return;
		this.refreshMembers();
		for (const slot of this.#others) this.#doorbells.wake(slot);
		// This member reads its own ring too. It is awake while it runs, so its doorbell need not be rung.
		const sleepNumber = this.#row.sleeping;
		if (sleepNumber === 0) return;
		this.#row.clearSleeping(sleepNumber);
		setImmediate(() => this.#woken());
	}

	override sleep(): boolean {
		if (this.closed) return true;
		this.#sleepNumber = (this.#sleepNumber + 1) | 0 || 1;
		this.#row.sleeping = this.#sleepNumber;
		const handoffBatches = this.#row.handoffBatches;
		const handedOver = handoffBatches !== this.#handoffBatchesSeen;
		// The caller checks its handoff socket after this, and so finds all batches counted until now.
		this.#handoffBatchesSeen = handoffBatches;
		if (!handedOver && !this.hasRecords()) return true;
		this.#row.sleeping = 0;
		return false;
	}

	/** A waker that has read the word before this rings once unnecessarily. */
	override awake(): void {
		if (!this.closed && this.#row.sleeping !== 0) this.#row.sleeping = 0;
	}

	override overslept(): boolean {
		if (this.closed || this.#row.sleeping === 0) return false;
		return this.#row.handoffBatches !== this.#handoffBatchesSeen || this.hasRecords();
	}

	override onWake(callback: () => void): void {
		this.#wake = callback;
	}

	override refreshMembers(): void {
		if (this.closed) return;
		const epoch = this.#board.membershipEpoch;
		if (epoch === this.#epoch) return;
		try {
			this.#takeUpMembers(true, epoch);
		} catch (error) {
			// The ring keeps its records for this member, so a later retry is soon enough.
			if (!isOutOfDescriptors(error)) throw error;
		}
	}

	override close(): void {
		if (this.closed) return;
		this.#bell.close();
		this.#row.sleeping = 0;
		this.#doorbells.close();
		super.close();
		this.#ownFile.close();
	}

	#woken(): void {
		if (this.closed) return;
		this.#row.sleeping = 0;
		this.#wake();
	}

	/** @param resume false when this member joins: earlier records are not for it. */
	#takeUpMembers(resume: boolean, epoch: number): void {
		const rows = this.#board.members();
		const present = new Map(rows.map((row) => [row.slot, row.ringGeneration]));
		this.readers.retain((origin, generation) => present.get(origin) === generation);
		for (const [slot, generation] of present) {
			if (this.readers.has(slot, generation)) continue;
			const file = this.#openRing(slot, generation);
			if (file === null) continue;
			this.readers.add(slot, generation, attachRing(file.buffer), resume, () => file.close());
		}
		this.#others = rows.map((row) => row.slot).filter((slot) => slot !== this.member);
		this.#doorbells.openAll();
		this.#epoch = epoch;
		this.#row.epochSeen = epoch;
	}

	/** Null when the member was just removed: the epoch has changed again, or is about to. */
	#openRing(slot: number, generation: number): SharedFile | null {
		try {
			return SharedFile.open(this.#directory.ringPath(slot, generation));
		} catch (error) {
			if (error instanceof NativeError && error.code === "ENOENT") return null;
			throw error;
		}
	}
}
