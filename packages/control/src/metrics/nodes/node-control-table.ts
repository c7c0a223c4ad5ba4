import { counter, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

/** Counters of requests between nodes, since the start of the node. */
export interface ControlCounts {
	/** Answers of other nodes to its questions. */
	readonly asked: { answered: number; failed: number; late: number; away: number };
	/** Questions of other nodes. */
	readonly requests: { answered: number; failed: number; busy: number };
	/** Messages that it could not read. */
	unreadable: number;
}

export const nodeControlMetrics: readonly ReadMetric<ControlCounts>[] = [
	counter(
		"shardcast_node_answers_total",
		"none",
		"Requests of this node to other nodes, by result for each node: answered, failed = it answered with an error, late = it did not answer in time, away = it, or this node, was not connected to Redis.",
		singleBy("result", ({ asked }) => ({ ...asked })),
	),
	counter(
		"shardcast_node_requests_total",
		"none",
		"Requests of other nodes to this one: answered, failed = answered with an error, busy = refused, because 64 were in progress.",
		singleBy("result", ({ requests }) => ({ ...requests })),
	),
	counter(
		"shardcast_node_control_unreadable_total",
		"messages",
		"Messages on the control channel of the nodes that were not valid: too long, or not written by a node of this version.",
		single(({ unreadable }) => unreadable),
	),
];
