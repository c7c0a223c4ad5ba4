import {
	type ActingGuard,
	actingGuards,
	type BalancerSnapshot,
	ClusterState,
	type RowSnapshot,
	type Scoreboard,
} from "@shardcast/scoreboard";
import { monotonicMs } from "@shardcast/wire";

/** A snapshot of the scoreboard. Rates are computed from two of them. */
export interface Sample {
	readonly atMs: number;
	readonly supervisorPid: number;
	readonly state: keyof typeof ClusterState;
	readonly rows: readonly RowSnapshot[];
	readonly balancer: BalancerSnapshot;
	/** Those that act. */
	readonly guards: readonly ActingGuard[];
}

export function takeSample(board: Scoreboard): Sample {
	const states = Object.keys(ClusterState) as (keyof typeof ClusterState)[];
	const atMs = monotonicMs();
	return {
		atMs,
		supervisorPid: board.supervisorPid,
		state: states.find((name) => ClusterState[name] === board.clusterState) ?? "starting",
		rows: board.rows().map((row) => row.snapshot()),
		balancer: board.balancer.snapshot(),
		guards: actingGuards(board, atMs),
	};
}
