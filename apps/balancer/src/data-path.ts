import type { Address } from "@shardcast/config";
import { settleMs } from "./pick.ts";

/** The way of a connection to its shard: handoff or proxy. Both pass one contract suite. */
export interface DataPath {
	/** @returns the port, once it listens. */
	open(address: Address): Promise<number>;
	/** Number of connections neither handed over nor answered yet. */
	readonly pending: number;
	/** Sets the time limit for request heads, also for connections that exist already. */
	set headTimeoutMs(value: number);
	/** Called at each heartbeat. */
	tick(): void;
	/** Accepts no new connections and finishes the existing ones, for at most `deadlineMs`. Returns how many it had to drop. */
	drain(deadlineMs: number): Promise<number>;
	/** Drops all connections at once; returns how many. */
	close(): number;
}

/** Bounds that both data paths keep. */
export const DataPathLimits = {
	/** The most connections whose head is not complete. */
	headsMax: 4096,
	/** When no descriptors are left, a connection that has waited this long without sending its request may be dropped for another. */
	displacedMs: 100,
	/** How many connections may wait for room in a shard, and how long: until the shards have reported what just arrived. */
	placementMax: 1024,
	placementMs: settleMs + 50,
	/** The wait while shards serve but none responds: most such pauses are short, and an error would not help. */
	heldUpMs: 5000,
} as const;
