import { rmSync } from "node:fs";
import { Bell, SharedFile } from "@shardcast/native";
import { attachRing, createRing, type Ring, registerReader, releaseReader, ringBytes } from "@shardcast/ring";
import type { BoardRow, ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { BoardLayout, BusError, BusErrorCode, Role, ShardState } from "@shardcast/scoreboard";
import { Doorbells } from "./doorbells.ts";

// What the supervisor does to the bus. One process, one thread: these never run beside each other.

/**
 * Makes slot a member: its ring, with every running member registered as a reader from the first record on, and its bell.
 * Do it before its process starts; members that run take the ring up the next time they look.
 * The supervisor alone gives slots: see `Scoreboard.freeSlot`.
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
	Bell.create(directory.bellPath(slot));
	row.state = ShardState.empty;
	row.ringGeneration = generation;
	row.addedEpoch = (board.membershipEpoch + 1) | 0;
	row.role = options.role ?? Role.shard;
	// Only those who run. A dead one would hold the ring up until it is back, and joins at the tail then anyway. One that
	// is starting at this very moment has either stored its state before we read it, or reads `present` after we stored it.
	for (const reader of board.members()) if (isRunning(reader.state)) registerReader(ring, reader.slot);
	file.close();
	board.bumpMembership();
	wakeAll(directory, board);
}

/**
 * Ends slot's membership, once its process is certainly dead. Its ring stays mapped where it is being read, until it has
 * been read to its end.
 * @returns false, and has done nothing, while a member that runs has not taken up that ring yet: what it holds would be lost
 * for that member. It has been woken when the slot was added, so try again in a moment.
 */
export function removeMemberFiles(directory: ClusterDirectory, board: Scoreboard, slot: number): boolean {
	const row = board.row(slot);
	if (!row.present) return true;
	const isBehind = (other: BoardRow) => isRunning(other.state) && ((other.epochSeen - row.addedEpoch) | 0) < 0;
	if (board.members().some((other) => other.slot !== slot && isBehind(other))) return false;
	releaseMember(directory, board, slot);
	row.state = ShardState.empty;
	row.role = Role.none;
	board.bumpMembership();
	wakeAll(directory, board);
	for (const path of [directory.ringPath(slot, row.ringGeneration), directory.bellPath(slot), directory.handoffPath(slot)])
		rmSync(path, { force: true });
	return true;
}

/** What clearing up after a member needs, opened in advance: a machine that is out of descriptors is when members die. */
export interface OpenMemberFiles {
	/** The members' rings, by slot. */
	readonly rings: readonly Ring[];
	readonly doorbells: Doorbells;
}

/** For a supervisor whose members stay the same. They stay open as long as it lives. */
export function openMemberFiles(directory: ClusterDirectory, board: Scoreboard): OpenMemberFiles {
	const doorbells = new Doorbells(directory, board);
	doorbells.openAll();
	const rings = board
		.members()
		.map(({ slot, ringGeneration }) => attachRing(SharedFile.open(directory.ringPath(slot, ringGeneration)).buffer));
	return { rings, doorbells };
}

/**
 * Clears up after a member's process, once it is certainly dead: no writer waits for it any more, and its row says so.
 * Its ring stays, with all that it had published; its successor goes on there. Counters stay: they count over restarts.
 * @param open with these it needs no descriptor.
 * @throws BusError while the row still has a pid: nothing is taken from a process that may go on.
 */
export function releaseMember(directory: ClusterDirectory, board: Scoreboard, slot: number, open?: OpenMemberFiles): void {
	const row = board.row(slot);
	checkReaped(row);
	row.state = ShardState.dead;
	row.sleeping = 0;
	// The dead process could not count them, and what was opened must not stay open for ever in the books.
	const lost = row.get("opened") - row.get("closed");
	row.add("closed", lost);
	row.add("closedCrash", lost);
	row.connections = 0;
	row.webSockets = 0;
	row.proxiedSeen = 0;
	if (open === undefined) releaseEverywhere(directory, board, slot);
	else for (const ring of open.rings) releaseReader(ring, slot);
	// It may have died after it had published and before it could wake the readers.
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

/** A process that is only stopped goes on later, and writes where it wrote before. The supervisor clears the pid once it has reaped it. */
function checkReaped({ slot, pid }: BoardRow): void {
	if (pid !== 0) throw new BusError(BusErrorCode.misuse, `process ${pid} of slot ${slot} has not been reaped`, "wait for its exit first");
}

function isRunning(state: ShardState): boolean {
	return state === ShardState.starting || state === ShardState.serving || state === ShardState.draining;
}

function wakeAll(directory: ClusterDirectory, board: Scoreboard): void {
	const doorbells = new Doorbells(directory, board);
	try {
		doorbells.wakeAll();
	} finally {
		doorbells.close();
	}
}
