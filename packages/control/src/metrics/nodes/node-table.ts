import { counter, gauge, oneOf, type ReadMetric, seconds, single, singleBy } from "@shardcast/telemetry";
import type { ClusterNodes, NodeState } from "../../questions/cluster-nodes-question.ts";

const nodeStates = ["joining", "member", "cutOff", "taken", "left"] as const satisfies readonly NodeState[];

/** Counters of a node's membership since its start. */
export interface NodeCounts {
	/** Heartbeats. */
	readonly sent: number;
	readonly failed: number;
	/** Refused because another node has the id. */
	readonly taken: number;
	/** Other nodes that have joined, left or changed. */
	readonly joined: number;
	readonly left: number;
	readonly updated: number;
	/** Times that it was cut off, and for how long in all. */
	readonly cutOff: number;
	readonly cutOffMs: number;
}

interface NodeReading extends NodeCounts {
	readonly seen: ClusterNodes;
}

export const nodeMetrics: readonly ReadMetric<NodeReading>[] = [
	gauge(
		"shardcast_node_state",
		"none",
		"1 for this node's current state, 0 for the others: joining = Redis has not been reached since the start, member, cutOff = the other nodes consider it gone, taken = another node has its id, left = it is stopping.",
		singleBy("state", ({ seen }) => oneOf(nodeStates, seen.state)),
	),
	gauge(
		"shardcast_nodes",
		"none",
		"Nodes that this one knows, itself included, by health.",
		singleBy("health", ({ seen: { nodes } }) => {
			const count = (wanted: string) => nodes.filter(({ health }) => health === wanted).length;
			return { healthy: count("healthy"), degraded: count("degraded"), unhealthy: count("unhealthy") };
		}),
	),
	gauge(
		"shardcast_nodes_connections",
		"connections",
		"Connections of all nodes together, as of their last heartbeats.",
		single(({ seen }) => seen.totals.connections),
	),
	gauge(
		"shardcast_nodes_messages_per_second",
		"messages",
		"Messages per second from clients and over HTTP on all nodes together, as of their last heartbeats.",
		single(({ seen }) => seen.totals.messagesPerSecond),
	),
	gauge(
		"shardcast_nodes_bytes_per_second",
		"bytes",
		"Payload bytes of these messages per second.",
		single(({ seen }) => seen.totals.bytesPerSecond),
	),
	counter(
		"shardcast_node_events_total",
		"none",
		"Changes of other nodes: joined, left, or updated in something other than their load.",
		singleBy("event", ({ joined, left, updated }) => ({ joined, left, updated })),
	),
	counter(
		"shardcast_node_heartbeats_total",
		"none",
		"Heartbeats of this node by result; taken = refused, because another node has the id.",
		singleBy("result", ({ sent, failed, taken }) => ({ ok: sent - failed - taken, failed, taken })),
	),
	counter(
		"shardcast_node_cut_off_total",
		"none",
		"Times that this node could not send a heartbeat for --node-timeout.",
		single(({ cutOff }) => cutOff),
	),
	counter(
		"shardcast_node_cut_off_seconds_total",
		"seconds",
		"Total time for which this node was cut off.",
		single(({ cutOffMs }) => seconds(cutOffMs)),
	),
];
