import { counted } from "../counted.ts";
/** What people can do to a cluster that runs. One at a time. */
export type OperationName = "drain" | "undrain" | "restart" | "rolling restart" | "rebalance" | "scale";

/** How far an operation is, told about once a second and at each step. */
export interface OperationProgress {
	readonly operation: OperationName;
	/** For people, such as "shard 1: 400 clients left". */
	readonly text: string;
	/** Clients that were told to reconnect so far. */
	readonly moved: number;
	/** Clients that are still to be told, as far as known. */
	readonly left: number;
}

export type OnProgress = (progress: OperationProgress) => void;

export function clientsText(count: number): string {
	return counted(count, "client");
}

/**
 * The operation was not begun, and nothing has changed. `busy`: another one runs. `not_found`: there is no such shard. `not_possible`: not as things are.
 * `invalid`: a wrong argument.
 */
export class OperationRefused extends Error {
	readonly code: "busy" | "not_found" | "not_possible" | "invalid";

	constructor(code: OperationRefused["code"], message: string) {
		super(message);
		this.name = "OperationRefused";
		this.code = code;
	}
}

/** The operation ended early. The message says why, and what is as before and what is not. */
export class OperationAborted extends Error {
	/** Somebody ended it: nothing has failed. */
	readonly isWanted: boolean;

	constructor(message: string, isWanted = false) {
		super(message);
		this.name = "OperationAborted";
		this.isWanted = isWanted;
	}
}

export interface DrainResult {
	readonly shard: number;
	/** Clients that were told to reconnect. */
	readonly moved: number;
	/** Clients that it still has. */
	readonly left: number;
	/** Clients that were lost because the shard's process died meanwhile. */
	readonly lost: number;
	readonly tookMs: number;
	/** Why it ended before all clients had left; absent = they have. */
	readonly ended?: string;
}

export interface UndrainResult {
	readonly shard: number;
	/** False if it was not drained, and no drain waited. */
	readonly changed: boolean;
}

export interface RebalanceResult {
	/** Clients of each shard that takes clients, by its slot. */
	readonly before: Readonly<Record<string, number>>;
	readonly after: Readonly<Record<string, number>>;
	/** Clients that were asked to connect again. */
	readonly moved: number;
	readonly tookMs: number;
	/** Why it ended before the shards were balanced; absent = they are. */
	readonly ended?: string;
}

export interface ScaleResult {
	/** Number of shards. */
	readonly before: number;
	readonly after: number;
	/** Clients that were told to reconnect, because their shard was removed. */
	readonly moved: number;
	/** Clients that had not left in time or were lost, and unfinished work, that were cut off with a removed shard. */
	readonly cutOff: number;
	/** After shards were added. Absent = none was, or clients were not moved to them (`--no-rebalance-shards`). */
	readonly rebalance?: RebalanceResult;
	readonly tookMs: number;
	/** Why there are not as many shards as asked for; absent = there are. */
	readonly ended?: string;
}

/** In a rolling restart, `lost` also counts clients that were lost before and after the shard's turn. */
export interface RestartResult extends DrainResult {
	/** Clients that had not left in time, and unfinished work, that the old process cut off. */
	readonly cutOff: number;
	/** The versions of the old and the new process; null = unknown. */
	readonly from: string | null;
	readonly to: string | null;
}

export interface RollingRestartResult {
	readonly shards: readonly RestartResult[];
	readonly balancer: { readonly restarted: boolean; readonly from: string | null; readonly to: string | null; readonly why?: string };
	/** The last shard has no clients at first. Absent = clients were not moved to it (`--rebalance-shards`). */
	readonly rebalance?: RebalanceResult;
	/** The version of the supervisor, which keeps its code. */
	readonly supervisor: string;
	readonly tookMs: number;
}
