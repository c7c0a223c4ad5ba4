import type { BoardMetric } from "@shardcast/telemetry";
import { channelMetrics } from "./channel-table.ts";
import { clusterMetrics } from "./cluster-table.ts";
import { ingestMetrics } from "./kafka-table.ts";
import { shardMetrics } from "./shard-table.ts";

/** All metrics from the scoreboard. */
export const boardMetrics: readonly BoardMetric[] = [...shardMetrics, ...channelMetrics, ...clusterMetrics, ...ingestMetrics];
