import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { ClusterDirectory, Scoreboard } from "@shardcast/scoreboard";
import { createMemberFiles } from "../src/member-files.ts";
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
