import { counter, gauge, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

interface ScaleReading {
	readonly scaleUp: number;
	readonly scaleDown: number;
	readonly failed: number;
	/** Connections of all nodes together, as part of what they can take. */
	readonly load: number;
}

export const scaleMetrics: readonly ReadMetric<ScaleReading>[] = [
	gauge(
		"shardcast_nodes_load",
		"none",
		"Connections of all nodes that take clients, as part of what they can take; 1 = full.",
		single(({ load }) => load),
	),
	counter(
		"shardcast_node_scale_events_total",
		"none",
		"Scale events that this node has announced for the cluster: up = a node is missing, down = one is too many, failed = Redis did not answer.",
		singleBy("event", ({ scaleUp, scaleDown, failed }) => ({ up: scaleUp, down: scaleDown, failed })),
	),
];
