import { resolve } from "node:path";
import { type Config, parseSubscription, type Subscription } from "@shardcast/config";
import type { KafkaConnectionOptions } from "./client/connection-options.ts";
import type { FetchLimits } from "./protocol/fetch-protocol.ts";
import type { StartPolicy } from "./source.ts";

export type KafkaMode = "per-shard" | "shared";
export type PayloadFormat = "text" | "json" | "binary";

/** All that an ingest worker needs to know: plain data, made once from the options and sent to the worker. */
export interface IngestOptions {
	readonly connection: KafkaConnectionOptions;
	readonly subscription: Subscription;
	readonly mode: KafkaMode;
	readonly from: StartPolicy;
	/** Where this shard commits. */
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
	/** CPU load in percent at which reading pauses; 0 = never. */
	readonly pauseCpuPercent: number;
	/** Topic to which clients' messages are produced, or null. */
	readonly publishTopic: string | null;
	/** Name of this cluster, unlike any other's. */
	readonly cluster: string;
	/** What is read again for clients that come back. */
	readonly recovery: RecoveryOptions;
}

export interface RecoveryOptions {
	/** Most records for one client and channel; 0 = nothing is read. */
	readonly recordsMax: number;
	/** Partitions at a time. */
	readonly readsMax: number;
	readonly timeoutMs: number;
	/** Of what was read, while it is kept for others; and of replies on their way. */
	readonly bytesMax: number;
}

const connectionTimeoutMs = 3000;
const backoffMsMax = 5000;
/** A fetch waits this long for something to come: also how soon a partition that was just assigned is asked for. */
const fetchWaitMs = 500;
/** A shard that hangs is killed after the heartbeat's timeout; then its own writing may have been stuck for a while, and its successor looks. */
const deadLetterMarginMs = 20_000;
const partitionBytesMax = 1024 * 1024;
const answerBytesMax = 4 * 1024 * 1024;

/** Which shard of which cluster asks. */
export interface ShardIdentity {
	readonly slot: number;
	readonly shardsTotal: number;
	/** Unlike any other cluster's. */
	readonly cluster: string;
}

/** What the options say of Kafka; null = it is not used. */
export function ingestOptions(config: Config, { slot, shardsTotal, cluster }: ShardIdentity): IngestOptions | null {
	if (config.kafkaBrokers.length === 0) return null;
	const { names, patterns } = parseSubscription(config.kafkaTopics);
	const publishTopic = orNull(config.kafkaPublishTopic);
	const deadLetterTopic = orNull(config.kafkaDeadLetter);
	const groups = Array.from({ length: shardsTotal }, (_, index) => `${config.kafkaGroup}-${index}`);
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
			names: publishTopic === null ? names : [...new Set([...names, publishTopic])],
			patterns,
			excluded: deadLetterTopic === null ? [] : [deadLetterTopic],
		},
		mode: config.kafkaMode,
		from: config.kafkaFrom,
		group: shared ? config.kafkaGroup : `${config.kafkaGroup}-${slot}`,
		groupsToStartFrom: shared ? [config.kafkaGroup] : groups,
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
		pauseCpuPercent: config.kafkaPauseCpu,
		publishTopic,
		cluster,
		recovery: {
			recordsMax: config.kafkaRecoveryLimit,
			readsMax: config.kafkaRecoveryReads,
			timeoutMs: config.kafkaRecoveryTimeoutMs,
			bytesMax: config.kafkaRecoveryMemoryBytes,
		},
	};
}

function orNull(text: string): string | null {
	return text === "" ? null : text;
}
