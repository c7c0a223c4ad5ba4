import { type LogCapacity, logSizes } from "@shardcast/wire";
import type { Config } from "./options.ts";
import { failoverStrategies } from "./sections/cluster/supervision.ts";

/** `--ring` counts records of this size. */
const ringRecordBytes = 1024;
/** A record's head and its channels, beside the payload. */
const recordOverheadBytes = 16_384;
/** In a log: its head, its channel, and who published it. */
const loggedOverheadBytes = 4096;
/** The ring refuses records above an eighth of its capacity. */
const largestRecordsPerRing = 8;

/** Bytes of each member's ring: `--ring` KiB, at least eight of the largest records, rounded up to a power of two. */
export function ringCapacityBytes(config: Pick<Config, "ring" | "maxPayloadBytes">): number {
	const least = Math.max(config.ring * ringRecordBytes, largestRecordsPerRing * (config.maxPayloadBytes + recordOverheadBytes));
	return 2 ** Math.ceil(Math.log2(least));
}

/** Each shard's share of `--max-connections`, rounded up, so that together they take at least all. */
export function connectionsPerShard(config: Pick<Config, "maxConnections">, shards: number): number {
	return Math.ceil(config.maxConnections / shards);
}

/** How the logs of channels with history are made. */
export function historyCapacity(config: Pick<Config, "historyMemoryBytes" | "historyChannels" | "idempotencyKeys">): LogCapacity {
	return { memoryBytes: config.historyMemoryBytes, channels: config.historyChannels, idempotencyKeys: config.idempotencyKeys };
}

/** Longest message that fits into these logs. */
export function historyPayloadBytesMax(config: Parameters<typeof historyCapacity>[0]): number {
	return Math.max(0, logSizes(historyCapacity(config)).recordBytesMax - loggedOverheadBytes);
}

/** Whether connections are counted over all shards, by address or by user. */
export function countsConnections(config: Pick<Config, "maxConnectionsPerIp" | "userConnectionLimit">): boolean {
	return config.maxConnectionsPerIp > 0 || config.userConnectionLimit > 0;
}

export type AuthConfig = Pick<
	Config,
	| ("requireAuth" | "clientInsecure" | "apiKey" | "apiKeys" | "consoleToken" | "connectProxy")
	| ("tokenHmacSecret" | "tokenRsaPublicKey" | "tokenEcdsaPublicKey" | "tokenJwksEndpoint")
	| ("subscriptionTokenHmacSecret" | "subscriptionTokenRsaPublicKey")
	| ("subscriptionTokenEcdsaPublicKey" | "subscriptionTokenJwksEndpoint")
>;

/**
 * Whether everybody must show who they are: clients, publishers, and who opens the console. `--require-auth` decides; without it, it is so
 * as soon as there is something to show, unless the clients of the protocol are let in as they are.
 */
export function authRequired(config: AuthConfig): boolean {
	return config.requireAuth ?? (!config.clientInsecure && hasKey(config));
}

/** Whether there is any key or secret by which somebody can show who they are, or a backend that says so. */
function hasKey(config: AuthConfig): boolean {
	const secrets = [config.consoleToken, config.subscriptionTokenHmacSecret];
	if (config.connectProxy.enabled) return true;
	return secrets.some((secret) => secret !== undefined) || hasApiKey(config) || hasTokenKey(config) || hasSubscriptionTokenKey(config);
}

/** Whether there is any key of the HTTP API. */
export function hasApiKey({ apiKey, apiKeys }: Pick<Config, "apiKey" | "apiKeys">): boolean {
	return apiKey !== undefined || apiKeys.length > 0;
}

/** Whether a client can have a valid connection token at all. */
export function hasTokenKey({ tokenHmacSecret, tokenRsaPublicKey, tokenEcdsaPublicKey, tokenJwksEndpoint }: AuthConfig): boolean {
	return tokenHmacSecret !== undefined || [tokenRsaPublicKey, tokenEcdsaPublicKey, tokenJwksEndpoint].some((key) => key !== "");
}

function hasSubscriptionTokenKey(config: AuthConfig): boolean {
	const { subscriptionTokenRsaPublicKey, subscriptionTokenEcdsaPublicKey, subscriptionTokenJwksEndpoint } = config;
	return [subscriptionTokenRsaPublicKey, subscriptionTokenEcdsaPublicKey, subscriptionTokenJwksEndpoint].some((key) => key !== "");
}

export type Failover = Config["failover"];
export const failovers: readonly Failover[] = failoverStrategies;

/** With `delayed`, unless a time is set. */
const failoverDelayMs = 5000;

/** How long a server that stops still serves as usual, in milliseconds. */
export function stopDelayMs(failover: Failover, drainDelayMs: number): number {
	if (failover === "immediate") return 0;
	return failover === "delayed" && drainDelayMs === 0 ? failoverDelayMs : drainDelayMs;
}
