import type { BoardMetric } from "@shardcast/telemetry";
import { clusterMetrics } from "./cluster-table.ts";
import { ingestMetrics } from "./kafka-table.ts";
import { shardMetrics } from "./shard-table.ts";

/** All that an answer takes from the scoreboard. */
export const boardMetrics: readonly BoardMetric[] = [...shardMetrics, ...clusterMetrics, ...ingestMetrics];
