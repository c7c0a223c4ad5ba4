import type { SessionOutcome } from "@shardcast/selection";
import { counter, type ReadMetric, singleBy } from "@shardcast/telemetry";

/** Nodes that a process has selected for clients, since its start. */
export interface SelectionCounts {
	readonly selected: number;
	/** No node could take a client. */
	readonly none: number;
	/** It could not be found out which nodes there are. */
	readonly failed: number;
}

export const selectionMetrics: readonly ReadMetric<SelectionCounts>[] = [
	counter(
		"shardcast_node_selections_total",
		"none",
		"Nodes selected for clients (/cluster/select and selectNode), by result; none = no node could take a client, failed = this process did not learn which nodes there are.",
		singleBy("result", ({ selected, none, failed }) => ({ selected, none, failed })),
	),
];

export const sessionMetrics: readonly ReadMetric<Readonly<Record<SessionOutcome, number>>>[] = [
	counter(
		"shardcast_node_sessions_total",
		"none",
		"Sessions that this node looked up in Redis or assigned, by outcome: kept = followed, moved = its node could not take the client, new, full = not made, since this node has made 200,000 within their time to live, unavailable = Redis could not be reached.",
		singleBy("outcome", (counts) => ({ ...counts })),
	),
];
