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
