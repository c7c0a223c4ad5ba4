import { rmSync } from "node:fs";
import { Doorbell, SharedFile } from "@shardcast/native";
import { attachRing, createRing, hasBeenRead, type Ring, RingLayout, registerReader, releaseReader, ringBytes } from "@shardcast/ring";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { BoardLayout, BusError, BusErrorCode, Role, ShardState } from "@shardcast/scoreboard";
import { Doorbells } from "./doorbells.ts";

// Called by the supervisor only, on one thread: these functions never run concurrently.

/**
 * Makes a slot a member: creates its ring, with every running member registered as a reader from the first record on, and its bell.
 * Call it before the member's process starts. Running members open the ring the next time they check for members.
 * Only the supervisor assigns slots: see `Scoreboard.freeSlot`.
 * @throws BusError when the slot is a member already, or its last process has not been reaped.
 * @throws NativeError ENOSPC when shared memory has no room for the ring.
 */
export function createMemberFiles(
	directory: ClusterDirectory,
	board: Scoreboard,
	slot: number,
	options: { readonly capacityBytes: number; readonly role?: Role },
): void {
	const row = board.row(slot);
	if (row.present) throw new BusError(BusErrorCode.misuse, `slot ${slot} is a member already`, "remove it first, or take a free slot");
	checkReaped(row);
	const generation = row.ringGeneration + 1;
	const readersMax = BoardLayout.slotsMax;
	const file = SharedFile.create(directory.ringPath(slot, generation), ringBytes(options.capacityBytes, readersMax));
	const ring = createRing(file.buffer, { capacityBytes: options.capacityBytes, readersMax });
	Doorbell.create(directory.bellPath(slot));
	row.state = ShardState.empty;
	row.ringGeneration = generation;
	row.addedEpoch = (board.membershipEpoch + 1) | 0;
	row.role = options.role ?? Role.shard;
	// Only running members. A dead one would block the ring until it is back, and joins at the tail then anyway. One that is starting right now
	// has either stored its state before we read it, or reads `present` after we have stored it.
	for (const reader of board.members()) if (isRunning(reader.state)) registerReader(ring, reader.slot);
	file.close();
	board.bumpMembership();
	wakeAll(directory, board);
}

/** Whether every running member has opened this one's ring. A member was woken when the slot was added, so it soon has. */
export function isOpenEverywhere(board: Scoreboard, slot: number): boolean {
	const { addedEpoch } = board.row(slot);
	return board.members().every((other) => other.slot === slot || !isRunning(other.state) || ((other.epochSeen - addedEpoch) | 0) >= 0);
}

/**
 * Makes a slot free again. Call it after `releaseMember`, and when its ring `isOpenEverywhere`: members keep it mapped until they have read it to the end, and
 * one that opens it only now would not find it. Counters stay, for the next member of the slot.
 * @throws BusError while the row still has a pid, since that process may still run.
 */
export function removeMemberFiles(directory: ClusterDirectory, board: Scoreboard, slot: number): void {
	const row = board.row(slot);
	checkReaped(row);
	row.state = ShardState.empty;
	row.role = Role.none;
	board.bumpMembership();
	rmSync(directory.ringPath(slot, row.ringGeneration), { force: true });
	rmSync(directory.bellPath(slot), { force: true });
	wakeAll(directory, board);
}

/** The files needed to clean up after a member, opened in advance: members may die because the machine is out of descriptors. */
export interface OpenMemberFiles {
	/** The members' rings, by slot. */
	readonly rings: ReadonlyMap<number, Ring>;
	readonly doorbells: Doorbells;
	/** Call it when the members have changed, and open them again. */
	close(): void;
}

/** For the supervisor, which keeps them open. */
export function openMemberFiles(directory: ClusterDirectory, board: Scoreboard): OpenMemberFiles {
	const doorbells = new Doorbells(directory, board);
	doorbells.openAll();
	const files = new Map(
		board.members().map(({ slot, ringGeneration }) => [slot, SharedFile.open(directory.ringPath(slot, ringGeneration))]),
	);
	const rings = new Map([...files].map(([slot, { buffer }]) => [slot, attachRing(buffer)]));
	const close = (): void => {
		doorbells.close();
		for (const file of files.values()) file.close();
	};
	return { rings, doorbells, close };
}

/** Whether every running member has read all that a member without a process has put into its ring. */
export function isReadByAll(board: Scoreboard, { rings }: OpenMemberFiles, slot: number): boolean {
	const ring = rings.get(slot)!;
	return isOpenEverywhere(board, slot) && hasBeenRead(ring, Atomics.load(ring.words, RingLayout.tailOffset >> 2));
}

/**
 * Cleans up after a member's process has been reaped: writers no longer wait for it, and its row shows it as dead. Its ring stays with all its
 * records, and the next process continues there. Counters are kept across restarts.
 * @param open with these no descriptor is needed.
 * @throws BusError while the row still has a pid, since that process may still run.
 */
export function releaseMember(directory: ClusterDirectory, board: Scoreboard, slot: number, open?: OpenMemberFiles): void {
	const row = board.row(slot);
	checkReaped(row);
	row.state = ShardState.dead;
	row.sleeping = 0;
	// The dead process could not count its connections as closed; without this they would stay open in the counters forever.
	const lost = row.get("opened") - row.get("closed");
	row.add("closed", lost);
	row.add("closedCrash", lost);
	row.connections = 0;
	row.webSockets = 0;
	row.proxiedSeen = 0;
	if (open === undefined) releaseEverywhere(directory, board, slot);
	else for (const ring of open.rings.values()) releaseReader(ring, slot);
	// It may have died after publishing and before waking the readers.
	if (open === undefined) wakeAll(directory, board);
	else open.doorbells.wakeAll();
}

function releaseEverywhere(directory: ClusterDirectory, board: Scoreboard, slot: number): void {
	for (const writer of board.members()) {
		const file = SharedFile.open(directory.ringPath(writer.slot, writer.ringGeneration));
		releaseReader(attachRing(file.buffer), slot);
		file.close();
	}
}

/** A paused process may continue and write again. The supervisor clears the pid when it has reaped the process. */
function checkReaped({ slot, pid }: BoardRow): void {
	if (pid !== 0) throw new BusError(BusErrorCode.misuse, `process ${pid} of slot ${slot} has not been reaped`, "wait for its exit first");
}

/** Whether the process of a row in this state reads rings. */
export function isRunning(state: ShardState): boolean {
	return state === ShardState.starting || state === ShardState.serving || state === ShardState.draining;
}

/** Wakes all members, so that they check for members that were added or removed. */
export function wakeAll(directory: ClusterDirectory, board: Scoreboard): void {
	const doorbells = new Doorbells(directory, board);
	try {
		doorbells.wakeAll();
	} finally {
		doorbells.close();
	}
}
