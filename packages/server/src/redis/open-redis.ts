import { type Config, nodeIdOf, redisNamesOf } from "@shardcast/config";
import { redisOptionsOf } from "@shardcast/nodes";
import { Redis } from "@shardcast/redis";
import type { CompressionMethod } from "@shardcast/redis-broker";
import type { Log } from "@shardcast/telemetry";

/** A shard's connection to Redis. */
export interface SharedRedis {
	/** Closed with the shard. */
	readonly client: Redis;
	/** Of all keys and pub/sub channels. */
	readonly prefix: string;
	/** Whether a restarted or promoted server is trusted to have every acknowledged publication. Channels then keep their epoch. */
	readonly trustsReplicas: boolean;
	/** How long a publication may wait while Redis cannot be reached. */
	readonly publishWaitMs: number;
	readonly compression: { readonly method: CompressionMethod; readonly bytesMin: number };
}

/** Starts connecting; null = no Redis is configured. @param name of the shard. */
export function openRedis(config: Config, name: string, log: Pick<Log, "info" | "warn">): SharedRedis | null {
	const options = redisOptionsOf(config, `shardcast:${nodeIdOf(config)}:${name}`);
	if (options === null) return null;
	const { redisTrustReplicas: trustsReplicas, redisPublishWaitMs: publishWaitMs } = config;
	const compression = { method: config.redisCompression, bytesMin: config.redisCompressionBytesMin };
	return { client: new Redis(options, log).open(), prefix: redisNamesOf(config), trustsReplicas, publishWaitMs, compression };
}
