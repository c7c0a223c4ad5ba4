import type { BoardMetric } from "@shardcast/telemetry";
import { channelMetrics } from "./channel-table.ts";
import { clusterMetrics } from "./cluster-table.ts";
import { guardMetrics } from "./guard-table.ts";
import { ingestMetrics } from "./kafka-table.ts";
import { shardMetrics } from "./shard-table.ts";

/** All metrics from the scoreboard. */
export const boardMetrics: readonly BoardMetric[] = [
	...shardMetrics,
	...channelMetrics,
	...clusterMetrics,
	...guardMetrics,
	...ingestMetrics,
];

const ofProcesses = [
	/^shardcast_(balancer|guard|handoffs?|shard|ring)_/,
	/^shardcast_(cluster_state|shards|connections|connections_limit|connections_refused_total|callback_errors_total)$/,
	/^websocket_active_connections$|^shardcast_websockets_(opened|closed)_total$/,
	/^shardcast_bus_(backpressured_total|depth_bytes|backlog_bytes)$/,
];

/** Those about processes, their connections and their bus, whatever they pass on: all that a gateway of several processes has. */
export const processMetrics: readonly BoardMetric[] = boardMetrics.filter(({ name }) => ofProcesses.some((pattern) => pattern.test(name)));
