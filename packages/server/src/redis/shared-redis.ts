import type { Redis } from "@shardcast/redis";

/** Redis as a shard uses it. */
export interface SharedRedis {
	/** Closed with the shard. */
	readonly client: Redis;
	/** Takes so long to load that only shards that use Redis do so. */
	readonly library: typeof import("@shardcast/redis-broker");
	/** Of all keys and pub/sub channels. */
	readonly prefix: string;
	/** A server that was restarted, or has taken over, is trusted to have all that was acknowledged: channels keep their epoch. */
	readonly trustsReplicas: boolean;
	/** How long a publication may wait while Redis is not reached. */
	readonly publishWaitMs: number;
}
