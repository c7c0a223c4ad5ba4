import type { HistogramReading } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import type { Histograms } from "./histogram-words.ts";
import type { BalancerSnapshot } from "./rows/balancer-row.ts";
import type { RowSnapshot } from "./rows/board-row.ts";
import type { GuardReading } from "./rows/guard-words.ts";
import type { Scoreboard } from "./scoreboard.ts";
import {
	type BalancerHistogram,
	BalancerMode,
	balancerHistograms,
	ClusterState,
	type ShardHistogram,
	ShardState,
	shardHistograms,
} from "./scoreboard-descriptor.ts";

/** The whole scoreboard as a plain object, with names for its states. Numbers are read one by one and may be from different instants. */
export interface BoardReading {
	readonly nowMs: number;
	readonly clusterState: keyof typeof ClusterState;
	/** Null if no balancer has ever run. */
	readonly balancer: BalancerReading | null;
	/** The shards that are members, by ascending slot. */
	readonly shards: readonly ShardReading[];
	/** Those about the whole cluster. */
	readonly guards: readonly GuardReading[];
}

export type ShardReading = Omit<RowSnapshot, "state"> & {
	readonly state: keyof typeof ShardState;
	readonly histograms: Readonly<Record<ShardHistogram, HistogramReading>>;
};

export type BalancerReading = Omit<BalancerSnapshot, "state" | "mode"> & {
	readonly state: keyof typeof ShardState;
	readonly mode: keyof typeof BalancerMode;
	readonly restarts: number;
	readonly histograms: Readonly<Record<BalancerHistogram, HistogramReading>>;
};

/** Reads the scoreboard for reports and metrics, in any process. Takes some ten microseconds per shard. */
export function readBoard(board: Scoreboard, nowMs = monotonicMs()): BoardReading {
	return {
		nowMs,
		clusterState: nameOf(ClusterState, board.clusterState),
		balancer: board.balancer.state === ShardState.empty ? null : readBalancer(board),
		shards: board.rows().map((row) => ({
			...row.snapshot(),
			state: nameOf(ShardState, row.state),
			histograms: readHistograms(shardHistograms, row.histograms),
		})),
		guards: board.guards.readings(),
	};
}

function readBalancer(board: Scoreboard): BalancerReading {
	const { balancer } = board;
	return {
		...balancer.snapshot(),
		state: nameOf(ShardState, balancer.state),
		mode: nameOf(BalancerMode, balancer.mode),
		restarts: balancer.restarts,
		histograms: readHistograms(balancerHistograms, balancer.histograms),
	};
}

function readHistograms<Name extends string>(
	table: readonly (readonly [Name, ...unknown[]])[],
	histograms: Histograms<Name>,
): Readonly<Record<Name, HistogramReading>> {
	return Object.fromEntries(table.map(([name]) => [name, histograms[name].read()])) as Record<Name, HistogramReading>;
}

function nameOf<Names extends Readonly<Record<string, number>>>(names: Names, value: number): keyof Names {
	for (const [name, number] of Object.entries(names)) if (number === value) return name;
	throw new RangeError(`the scoreboard holds the state ${value}`);
}
