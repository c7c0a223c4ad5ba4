export { askForMetrics, type ChildControl, connectToParent } from "./child-end.ts";
export { EventLog } from "./event-log.ts";
export type {
	ClusterEvent,
	ConsoleAnswer,
	ConsolePart,
	FromChild,
	KafkaGlance,
	PartQuestion,
	StartMessage,
	ToChild,
	WholeQuestion,
} from "./messages.ts";
export { MetricsCollector, type MetricsSource } from "./metrics/collector.ts";
export { metricsReference, metricTables } from "./metrics/reference.ts";
export { reloadMetrics } from "./metrics/reload-table.ts";
export { ChildLink, type ChildReport } from "./parent-end.ts";
export { ConfigReloader, noReloads, type ReloadCounts } from "./reloader.ts";
export { RouteReloader } from "./route-reloader.ts";
