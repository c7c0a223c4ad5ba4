import { DataPathLimits, type PlacementRules, type Refusal, Refusals, withMessage } from "@shardcast/relay";
import type { Candidate } from "./pick/candidate.ts";
import { type Picker, settleMs } from "./pick/picker.ts";

/** How long a connection waits for room: until the shards have reported what just arrived. */
export const placementMs = settleMs + 50;
/** The wait while shards serve but none responds: most such pauses are short, and an error would not help. */
export const heldUpMs = 5000;

export function placementRules(picker: Picker): PlacementRules {
	return {
		waitMs: placementMs,
		heldUpMs,
		itemsMax: DataPathLimits.placementMax,
		look: () => picker.look(),
	};
}

/**
 * Why no shard accepts a connection.
 * @param candidates those that it may go to.
 */
export function placementRefusal({ processes }: Pick<Picker, "processes">, candidates: readonly Candidate[], isStopping: boolean): Refusal {
	if (isStopping) return Refusals.stopping;
	const serving = candidates.filter((candidate) => candidate.serving);
	if (serving.length === 0) return withMessage(Refusals.noShard, `none of ${candidates.length} ${processes} serves now`);
	// One that is silent has room that nobody can use.
	const responding = serving.filter((candidate) => !candidate.silent);
	if (responding.length === 0) return withMessage(Refusals.noShard, `none of the ${serving.length} ${processes} that serve responds now`);
	const taken = responding.reduce((sum, candidate) => sum + candidate.taken, 0);
	const max = responding.reduce((sum, candidate) => sum + candidate.maxConnections, 0);
	if (taken < max) return withMessage(Refusals.behind, `the ${processes} do not keep up with new connections`);
	const verb = responding.length < serving.length ? "respond" : "serve";
	return withMessage(
		Refusals.full,
		`${responding.length} of ${candidates.length} ${processes} ${verb}, all full: ${taken}/${max} connections`,
	);
}
