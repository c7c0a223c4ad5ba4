export { PartAnswers } from "./asking/part-answers.ts";
export type { Ask, Question } from "./asking/question.ts";
export { type AskedProcess, type NodeParts, type OtherNodes, Questions } from "./asking/questions.ts";
export { type CertificateReloads, CertificateWatch, type CertificateWatchParts, noCertificateReloads } from "./certificate-watch.ts";
export { type ChildControl, connectToParent } from "./child-end.ts";
export { type ClusterEvent, EventLog } from "./event-log.ts";
export { joinCluster } from "./join-cluster.ts";
export type { BackendPlace, FromChild, StartMessage, ToChild, Workers } from "./messages.ts";
export { type AdminSocketReading, adminOperationMetrics, adminRequestMetrics, adminSocketMetrics } from "./metrics/admin-table.ts";
export { apiMetrics } from "./metrics/api-table.ts";
export { type BackendReading, backendMetrics } from "./metrics/backend-table.ts";
export { answerMetrics } from "./metrics/cluster-metrics.ts";
export { edgeMetrics } from "./metrics/edge-table.ts";
export { backendListMetrics, type GatewayReading, gatewayMetrics } from "./metrics/gateway-table.ts";
export { historyMetrics } from "./metrics/history-table.ts";
export { type ControlCounts, nodeControlMetrics } from "./metrics/nodes/node-control-table.ts";
export { type NodeCounts, nodeMetrics } from "./metrics/nodes/node-table.ts";
export { rebalanceMetrics } from "./metrics/nodes/rebalance-table.ts";
export { redisMetrics } from "./metrics/nodes/redis-table.ts";
export { scaleMetrics } from "./metrics/nodes/scale-table.ts";
export { type SelectionCounts, selectionMetrics, sessionMetrics } from "./metrics/nodes/selection-table.ts";
export { redisMessageMetrics, type SharedChannelReading, sharedChannelMetrics } from "./metrics/nodes/shared-channel-table.ts";
export { outboxMetrics } from "./metrics/outbox-table.ts";
export { postgresRevocationMetrics, postgresStoreMetrics } from "./metrics/postgres-table.ts";
export { metricsReference, metricTables } from "./metrics/reference.ts";
export { reloadMetrics } from "./metrics/reload-table.ts";
export { type RemoteReading, remoteMetrics } from "./metrics/remote-table.ts";
export {
	type RevocationReading,
	revocationMetrics,
	type SharedRevocationCounts,
	sharedRevocationMetrics,
} from "./metrics/revocation-table.ts";
export { type ShardCountReading, shardCountMetrics } from "./metrics/shard-count-table.ts";
export { tlsMetrics } from "./metrics/tls-table.ts";
export { slowMessageMetrics, traceMetrics } from "./metrics/trace-table.ts";
export { webhookMetrics } from "./metrics/webhook-table.ts";
export { ChildLink, type ChildReport } from "./parent-end.ts";
export { adminCallWaitMsMax, adminQuestion } from "./questions/admin-question.ts";
export { certificatesQuestion } from "./questions/certificates-question.ts";
export { answerChannels, channelsQuestion, type ListedChannel, listedChannelsMax } from "./questions/channels-question.ts";
export {
	type ClusterNode,
	type ClusterNodes,
	type ClusterTotals,
	clusterNodesQuestion,
	type NodeFacts,
	type NodeLoad,
	type NodeState,
} from "./questions/cluster-nodes-question.ts";
export { answerCluster } from "./questions/cluster-questions.ts";
export { type ConsolePart, consoleQuestion, type KafkaSummary } from "./questions/console-question.ts";
export { gatewayQuestion } from "./questions/gateway-question.ts";
export {
	answerInventory,
	type ChannelCounts,
	type ConnectionInfo,
	type ConnectionInfos,
	channelCountsQuestion,
	connectionsQuestion,
	connectionsWithin,
	inventoryLimits,
	type NodeInfo,
	nodesQuestion,
	type Page,
	pageOf,
} from "./questions/inventory-questions.ts";
export { metricsQuestion } from "./questions/metrics-question.ts";
export {
	type FailoverOrder,
	failoverQuestion,
	moveClientsQuestion,
	type NodeConnections,
	type NodeOrders,
	nodeConnectionsQuestion,
	type OffloadOrder,
	offloadQuestion,
	type RebalanceOrder,
	type RebalanceStarted,
	rebalanceQuestion,
} from "./questions/node-orders.ts";
export {
	answerPresence,
	type PresencePart,
	type PresenceStats,
	type PresentClient,
	type PresentClients,
	presenceLimits,
	presenceQuestion,
	presenceStatsQuestion,
	withinLimits,
} from "./questions/presence-questions.ts";
export { type RemoteReport, remoteShardsQuestion } from "./questions/remote-shards-question.ts";
export { revocationChange } from "./questions/requests.ts";
export {
	answerRevocations,
	revocationsQuestion,
	revokeQuestion,
	storeRevocationQuestion,
} from "./questions/revocation-questions.ts";
export { sessionsQuestion } from "./questions/sessions-question.ts";
export {
	answerUsers,
	type DisconnectUser,
	disconnectQuestion,
	type RefreshUser,
	refreshQuestion,
	type SubscribeUser,
	subscribeQuestion,
	type UnsubscribeUser,
	type UserTarget,
	unsubscribeQuestion,
} from "./questions/user-questions.ts";
export { ConfigReloader, noReloads, type ReloadCounts, type ReloadOutcome } from "./reloader.ts";
export {
	databaseMsMax,
	entriesIn,
	type RevocationDatabase,
	type RevocationRow,
	rowOf,
} from "./revocations/revocation-database.ts";
export type { RevocationChange } from "./revocations/revocation-file.ts";
export { type RevocationOutcome, RevocationStore } from "./revocations/revocation-store.ts";
export { type Revocation, type RevocationKind, Revocations, revocationsMax } from "./revocations/revocations.ts";
export { RouteReloader } from "./route-reloader.ts";
export { runUntilSignal } from "./run-until-signal.ts";
export { runWorker } from "./run-worker.ts";
export type { ScaleEvent } from "./scale-event.ts";
