export { type BoardReading, readBoard } from "./board-reading.ts";
export { BoardText } from "./board-text.ts";
export { BusError, BusErrorCode } from "./bus-error.ts";
export { closedByCode, closedCounter } from "./closed-by-code.ts";
export { ClusterDirectory, type RunningClusters } from "./clusters/cluster-directory.ts";
export type { FoundCluster } from "./clusters/cluster-list.ts";
export { commandCounters, errorCounters } from "./command-counters.ts";
export type { Counters } from "./counters.ts";
export {
	type ActingGuard,
	actingGuards,
	guardReason,
	type HealthOptions,
	type HealthReport,
	healthReport,
	healthStatus,
	type NodeSummary,
	type RemoteShardHealth,
	readiness,
} from "./health.ts";
export { HistogramWords, histogramsAt } from "./histogram-words.ts";
export { boardMetrics, processMetrics } from "./metrics/board-metrics.ts";
export { channelMetrics } from "./metrics/channel-table.ts";
export { balancerModes, clusterMetrics, clusterStates } from "./metrics/cluster-table.ts";
export { guardMetrics } from "./metrics/guard-table.ts";
export { ingestMetrics, type KafkaReading, kafkaMetrics } from "./metrics/kafka-table.ts";
export { memberStates, shardMetrics } from "./metrics/shard-table.ts";
export type { BalancerSnapshot } from "./rows/balancer-row.ts";
export { BoardRow, type RowSnapshot, requestAllowance } from "./rows/board-row.ts";
export {
	clusterGuards,
	type GuardName,
	type GuardReading,
	type GuardState,
	GuardWords,
	guardAction,
	guardAmount,
	guardSentence,
	guardUnit,
	shardGuards,
} from "./rows/guard-words.ts";
export { showTroubles } from "./rows/show-troubles.ts";
export { Scoreboard } from "./scoreboard.ts";
export {
	type BalancerAffinity,
	type BalancerCounter,
	BalancerMode,
	BalancerRowWord,
	type BalancerStrategy,
	BalancerWord,
	BellWord,
	BoardLayout,
	balancerAffinities,
	balancerCounters,
	balancerHistograms,
	balancerStrategies,
	ClusterState,
	describedFrom,
	describedLayout,
	HeaderWord,
	Role,
	ServiceRow,
	type ShardCounter,
	type ShardOverload,
	ShardState,
	type ShardTrouble,
	ShardWord,
	SupervisorWord,
	shardCounters,
	shardHistograms,
} from "./scoreboard-descriptor.ts";
