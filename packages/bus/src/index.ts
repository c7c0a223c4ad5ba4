export { AddressTable } from "./address-table.ts";
export { BalancerBlock, type BalancerSnapshot } from "./balancer-block.ts";
export { type BalancerReading, type BoardReading, readBoard, type ShardReading } from "./board-reading.ts";
export { BoardRow, type RowSnapshot, requestAllowance } from "./board-row.ts";
export { BusError, BusErrorCode } from "./bus-error.ts";
export type { BusLink, VisitOrigin } from "./bus-link.ts";
export { ClusterDirectory, type RunningClusters } from "./cluster-directory.ts";
export type { FoundCluster } from "./cluster-list.ts";
export { Doorbells } from "./doorbells.ts";
export {
	type HealthOptions,
	type HealthReport,
	type HealthStatus,
	healthReport,
	type MemberStatus,
	type Readiness,
	readiness,
	type ShardHealth,
} from "./health.ts";
export { type HistogramReading, type Histograms, HistogramWords, histogramsAt } from "./histogram-words.ts";
export { buryMember, createMemberFiles, type OpenMemberFiles, openMemberFiles, removeMemberFiles } from "./member-files.ts";
export { MemoryBus, type MemoryBusOptions } from "./memory-bus.ts";
export { Scoreboard } from "./scoreboard.ts";
export * from "./scoreboard-descriptor.ts";
export { SharedMemoryBus } from "./shared-memory-bus.ts";
