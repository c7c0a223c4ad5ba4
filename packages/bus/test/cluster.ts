import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { createMemberFiles, isOpenEverywhere, releaseMember, removeMemberFiles } from "../src/member-files.ts";
import { SharedMemoryBus } from "../src/shared-memory-bus.ts";

/** A cluster without processes: the supervisor's part, in a separate directory in shared memory. */
export interface TestCluster {
	readonly base: string;
	readonly directory: ClusterDirectory;
	readonly board: Scoreboard;
	join(slot: number): SharedMemoryBus;
	/** Closes every link, then unmaps and removes everything. */
	close(): void;
}

export function makeCluster(members: number, capacityBytes: number, slotsMax = 8): TestCluster {
	const base = mkdtempSync("/dev/shm/bus-test-");
	const directory = ClusterDirectory.create(base);
	const board = Scoreboard.create(directory.boardPath, slotsMax);
	for (let slot = 0; slot < members; slot++) createMemberFiles(directory, board, slot, { capacityBytes });
	const links: SharedMemoryBus[] = [];
	return {
		base,
		directory,
		board,
		join: (slot) => {
			const link = SharedMemoryBus.join(directory, board, slot);
			links.push(link);
			return link;
		},
		close: () => {
			for (const link of links) link.close();
			board.close();
			rmSync(base, { recursive: true, force: true });
		},
	};
}

/** Files under `base` that this process has mapped, as lines of /proc/self/maps. */
export function mappedUnder(base: string): string[] {
	const maps = readFileSync("/proc/self/maps", "utf8").split("\n");
	return maps.filter((line) => line.includes(base));
}

/**
 * Ends a slot's membership, as the supervisor does. Call after its process has been reaped. Readers keep its ring mapped until they have read it to the end.
 * @returns false, and does nothing, while a running member has not opened the ring yet, which would lose the ring's records. That member was
 * woken when the slot was added, so try again in a moment.
 */
export function removeMember(directory: ClusterDirectory, board: Scoreboard, slot: number): boolean {
	if (!board.row(slot).present) return true;
	if (!isOpenEverywhere(board, slot)) return false;
	releaseMember(directory, board, slot);
	removeMemberFiles(directory, board, slot);
	return true;
}
