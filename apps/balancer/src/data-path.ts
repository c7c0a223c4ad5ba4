import type { Address } from "@shardcast/config";
import { settleMs } from "./pick.ts";

/** How connections come in and reach a shard: by handoff or by proxy. Both pass one contract suite. */
export interface DataPath {
	/** @returns the port, once it listens. */
	open(address: Address): Promise<number>;
	/** Connections that are here and neither handed on nor answered. */
	readonly pending: number;
	/** Time that clients have for their heads; for those that are here as well. */
	set headTimeoutMs(value: number);
	/** At each heartbeat. */
	tick(): void;
	/** Takes no new ones and works off those that are here, for at most `deadlineMs`; returns how many were cut off. */
	drain(deadlineMs: number): Promise<number>;
	/** Cuts all off, at once; returns how many. */
	close(): number;
}

/** Bounds that both data paths keep. */
export const DataPathLimits = {
	/** Connections whose head is not complete. */
	headsMax: 4096,
	/** A connection that has not sent its request for so long may be displaced by others when there are no descriptors left. */
	displacedMs: 100,
	/** Connections that wait for room in a shard, and for how long: until what has just arrived there has settled. */
	placementMax: 1024,
	placementMs: settleMs + 50,
	/** The same while shards serve but none of them responds: most such pauses are short, and an error helps nobody. */
	heldUpMs: 5000,
} as const;
