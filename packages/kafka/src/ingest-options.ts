import { resolve } from "node:path";
import { type Config, kafkaGroupOf, nodeIdOf, parseSubscription, redisNamesOf, type Subscription } from "@shardcast/config";
import { redisOptionsOf } from "@shardcast/nodes";
import type { KafkaConnectionOptions } from "./client/connection-options.ts";
import type { FetchLimits } from "./protocol/fetch-protocol.ts";
import type { RelayOptions } from "./relay/open-relay.ts";
import type { StartPolicy, TopicOptions } from "./source.ts";

export type KafkaMode = "per-shard" | "shared";
export type PayloadFormat = "text" | "json" | "binary";

/** The options of an ingest worker, as plain data that can be sent to it. */
export interface IngestOptions {
	readonly connection: KafkaConnectionOptions;
	readonly subscription: Subscription;
	/** Those that name topics of `subscription`. */
	readonly topicOptions: TopicOptions;
	/** Topics whose records may have the headers of `MessageHeader`. They are in `subscription`, too. */
	readonly messageTopics: Subscription;
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	/** Group under whose name this shard commits. */
	readonly group: string;
	readonly groupsToStartFrom: readonly string[];
	readonly metadataAgeMs: number;
	readonly commitIntervalMs: number;
	readonly backoffMsMax: number;
	readonly limits: FetchLimits;
	/** Template of the channel name. */
	readonly channel: string;
	/** Absolute path of a route module, or null. */
	readonly routePath: string | null;
	readonly routeBudgetMs: number;
	readonly format: PayloadFormat;
	readonly payloadBytesMax: number;
	readonly deadLetterTopic: string | null;
	/** How long a shard keeps copies of the dead letters that another one writes. */
	readonly deadLetterHoldMs: number;
	/** Topic to which clients' messages are produced, or null. */
	readonly publishTopic: string | null;
	/** Unique name of this cluster. */
	readonly cluster: string;
	/** Connection to other nodes with which this one shares the reading of partitions; null = it reads all of them. */
	readonly relay: RelayOptions | null;
	/** Limits on records that are read again for reconnecting clients. */
	readonly recovery: RecoveryOptions;
}

export interface RecoveryOptions {
	/** Most records per client and channel; 0 turns recovery off. */
	readonly recordsMax: number;
	/** Most partitions read at a time. */
	readonly readsMax: number;
	readonly timeoutMs: number;
	/** Limit on the bytes of cached records, and also on those of replies being sent. */
	readonly bytesMax: number;
}

const connectionTimeoutMs = 3000;
const backoffMsMax = 5000;
/** How long a fetch waits for records. A newly assigned partition may wait this long for its first fetch. */
const fetchWaitMs = 500;
/** Added to the heartbeat timeout, after which a hung shard is killed: its writes may have been stuck before, and its successor needs time to notice. */
const deadLetterMarginMs = 20_000;
const partitionBytesMax = 1024 * 1024;
const answerBytesMax = 4 * 1024 * 1024;

/** Identifies a shard of a cluster. */
interface ShardIdentity {
	readonly slot: number;
	readonly shardsTotal: number;
	/** Unique name of the cluster. */
	readonly cluster: string;
}

/** Null when the options name no brokers. */
export function ingestOptions(config: Config, { slot, shardsTotal, cluster }: ShardIdentity): IngestOptions | null {
	if (config.kafkaBrokers.length === 0) return null;
	const plain = parseSubscription(config.kafkaTopics);
	const withHeaders = parseSubscription(config.kafkaMessageTopics);
	const publishTopic = orNull(config.kafkaPublishTopic);
	const topicOptions: TopicOptions = [
		["--kafka-topics", plain.names],
		["--kafka-message-topics", withHeaders.names],
		["--kafka-publish-topic", publishTopic === null ? [] : [publishTopic]],
	];
	const deadLetterTopic = orNull(config.kafkaDeadLetter);
	const group = kafkaGroupOf(config);
	const groups = Array.from({ length: shardsTotal }, (_, index) => `${group}-${index}`);
	const shared = config.kafkaMode === "shared";
	return {
		connection: {
			brokers: config.kafkaBrokers,
			clientId: `shardcast-${slot}`,
			ssl: config.kafkaTls
				? {
						caPath: orNull(config.kafkaTlsCa),
						certPath: orNull(config.kafkaTlsCert),
						keyPath: orNull(config.kafkaTlsKey),
						rejectUnauthorized: config.kafkaTlsVerify,
					}
				: null,
			sasl:
				config.kafkaSasl === "none"
					? null
					: { mechanism: config.kafkaSasl, username: config.kafkaUsername, password: config.kafkaPassword ?? "" },
			connectionTimeoutMs,
		},
		subscription: {
			names: [...new Set(topicOptions.flatMap(([, names]) => names))],
			patterns: [...plain.patterns, ...withHeaders.patterns],
			excluded: deadLetterTopic === null ? [] : [deadLetterTopic],
		},
		topicOptions,
		messageTopics: withHeaders,
		mode: config.kafkaMode,
		from: config.kafkaFrom,
		group: shared ? group : `${group}-${slot}`,
		groupsToStartFrom: shared ? [group] : groups,
		metadataAgeMs: config.kafkaMetadataAgeMs,
		commitIntervalMs: config.kafkaCommitIntervalMs,
		backoffMsMax,
		limits: { waitMsMax: fetchWaitMs, bytesMax: answerBytesMax, partitionBytesMax },
		channel: config.kafkaChannel,
		routePath: config.kafkaRoute === "" ? null : resolve(config.kafkaRoute),
		routeBudgetMs: config.kafkaRouteBudgetMs,
		format: config.kafkaFormat,
		payloadBytesMax: config.maxPayloadBytes,
		deadLetterTopic,
		deadLetterHoldMs: config.heartbeatTimeoutMs + deadLetterMarginMs,
		publishTopic,
		cluster,
		relay: shared ? relayOptions(config, slot) : null,
		recovery: {
			recordsMax: config.kafkaRecoveryLimit,
			readsMax: config.kafkaRecoveryReads,
			timeoutMs: config.kafkaRecoveryTimeoutMs,
			bytesMax: config.kafkaRecoveryMemoryBytes,
		},
	};
}

function relayOptions(config: Config, slot: number): RelayOptions | null {
	const redis = redisOptionsOf(config, `shardcast:${nodeIdOf(config)}:kafka-${slot}`);
	return redis === null ? null : { redis, prefix: redisNamesOf(config) };
}

function orNull(text: string): string | null {
	return text === "" ? null : text;
}
