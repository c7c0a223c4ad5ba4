// The only door to prom-client.

export { balancerModes, clusterMetrics, clusterStates } from "./cluster-table.ts";
export * from "./collector.ts";
export * from "./exposition.ts";
export * from "./metric.ts";
export * from "./process-metrics.ts";
export * from "./reference.ts";
export { memberStates, shardMetrics } from "./shard-table.ts";
