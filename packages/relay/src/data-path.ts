import type { Address } from "@shardcast/config";

/** Where to listen: an address, or a socket that is bound already, which another process owns. */
export type ListenAt = Address | { readonly fd: number };

/** The way of a connection to its target. The balancer's two, handoff and proxy, pass one contract suite. */
export interface DataPath {
	/** @returns the port, once it listens. */
	open(at: ListenAt): Promise<number>;
	/** Number of connections neither handed over nor answered yet. */
	readonly pending: number;
	/** Sets the time limit for request heads, also for connections that exist already. */
	set headTimeoutMs(value: number);
	/** Called at each heartbeat. */
	tick(): void;
	/**
	 * Accepts no new connections and finishes the existing ones, for at most `deadlineMs`. Returns how many it had to drop.
	 * @param replaced another process takes its place, and gets those that need not be finished here.
	 */
	drain(deadlineMs: number, replaced?: boolean): Promise<number>;
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
