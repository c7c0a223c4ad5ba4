// The only door to prom-client.
export * from "./board-metrics.ts";
export { balancerModes, clusterStates } from "./cluster-table.ts";
export * from "./collector.ts";
export * from "./collector-table.ts";
export * from "./exposition.ts";
export * from "./kafka-table.ts";
export * from "./metric.ts";
export * from "./process-metrics.ts";
export * from "./read-values.ts";
export * from "./reference.ts";
export * from "./reload-table.ts";
export { memberStates } from "./shard-table.ts";
