export { everybodyTemplate, parseTemplate, type TemplatePart } from "./kafka/channel-template.ts";
export { kafkaGroupOf } from "./kafka/kafka-group.ts";
export { kafkaLine } from "./kafka/kafka-line.ts";
export { checkRoute, routeProblem } from "./kafka/route-problem.ts";
export { parseSubscription, type Subscription, topicMatcher } from "./kafka/subscription.ts";
export { closestWord } from "./load/closest-word.ts";
export {
	type CommandInput,
	type CommandLineSpec,
	type CommandOutcome,
	type CommandSpec,
	reportError,
	runCommandLine,
} from "./load/command-line.ts";
export { ConfigError } from "./load/config-error.ts";
export type { FoundValue } from "./load/layer.ts";
export { type ConfigInput, defaultConfig, type LoadedConfig, loadConfig, optionNames } from "./load/load.ts";
export { configJson, formatConfig } from "./load/print.ts";
export { describeChanges, planReload, type ReloadPlan } from "./load/reload.ts";
export { sameValue } from "./load/same-value.ts";
export { WithdrawnHistories } from "./load/withdrawn-histories.ts";
export { type ApiMethodName, apiChannelMethods, apiMethods } from "./options/api-methods.ts";
export { centrifugoOnly, centrifugoOnlyInNamespaces } from "./options/centrifugo.ts";
export type { NameOf } from "./options/checks/check.ts";
export {
	type AuthConfig,
	authRequired,
	connectionsPerShard,
	countsConnections,
	type Failover,
	failovers,
	hasApiKey,
	hasTokenKey,
	historyCapacity,
	historyPayloadBytesMax,
	ringCapacityBytes,
	stopDelayMs,
} from "./options/derive.ts";
export { autoCount } from "./options/kinds.ts";
export { toFileValue } from "./options/objects.ts";
export type { ServingCommand } from "./options/option.ts";
export {
	type Config,
	type ConfigKey,
	configKeys,
	environmentName,
	filePath,
	keysOf,
	liveKeysOf,
	optionOf,
	sections,
} from "./options/options.ts";
export { type ChannelOptions, channelFields, type NamespaceOptions } from "./options/sections/clients/channel.ts";
export {
	type CallOptions,
	channelHooks,
	defaultProxy,
	type EnabledProxyOptions,
	type ProxyOptions,
	type ProxyTlsOptions,
	proxyFields,
	type StatusTransform,
} from "./options/sections/clients/proxy.ts";
export type { CommandRates, RateBucket, RateOperation } from "./options/sections/clients/rate-limit.ts";
export { jwksNames, jwksPart } from "./options/sections/clients/token.ts";
export { gatewayBackendsMax } from "./options/sections/cluster/gateway.ts";
export { type WebhookOptions, wantsEvent, withoutNamespace } from "./options/sections/server/webhooks.ts";
export { type WebhookEventType, webhookEventTypes } from "./options/webhook-events.ts";
export { type PostgresAddress, parsePostgresAddress, postgresAddressText } from "./postgres/postgres-address.ts";
export { nodeIdOf } from "./redis/node-id.ts";
export { parseRedisAddress, type RedisAddress, redisAddressText } from "./redis/redis-address.ts";
export { redisNamesOf } from "./redis/redis-names.ts";
export { type BackendTls, readBackendTls } from "./tls/backend-tls.ts";
export { type Certificate, certificateFor, type TlsConfig, usesTls } from "./tls/certificate.ts";
export { loadCertificates } from "./tls/load-certificates.ts";
export { type NodesTls, readNodesTls, readRemoteTls } from "./tls/nodes-tls.ts";
export { expiryWarning } from "./tls/read-pair.ts";
export { type Address, listensEverywhere, parseAddress, urlHost } from "./units/address.ts";
export { addressBytes } from "./units/address-bytes.ts";
export { type AffinitySource, parseAffinitySource } from "./units/affinity-source.ts";
export { formatBytes, parseBytes } from "./units/bytes.ts";
export { formatDuration, parseDuration } from "./units/duration.ts";
export { parseEdgeNode, parseRemoteShard } from "./units/edge-node.ts";
export { keyValueList } from "./units/key-values.ts";
export { type Network, parseNetwork } from "./units/network.ts";
export { parseNodeUrl } from "./units/node-url.ts";
export { parseRegex } from "./units/regex.ts";
export { weightMax } from "./units/weight.ts";
export { hostPortText } from "./url-parts.ts";
