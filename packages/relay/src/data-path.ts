import type { Address } from "@shardcast/config";

/** The way of a connection to its target. The balancer's two, handoff and proxy, pass one contract suite. */
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

/** Bounds that all data paths keep. */
export const DataPathLimits = {
	/** The most connections whose head is not complete. */
	headsMax: 4096,
	/** When no descriptors are left, a connection that has waited this long without sending its request may be dropped for another. */
	displacedMs: 100,
	/** How many connections may wait for room. */
	placementMax: 1024,
} as const;

/** Longest accept queue in the kernel, which limits it to net.core.somaxconn. */
export const backlog = 4096;
