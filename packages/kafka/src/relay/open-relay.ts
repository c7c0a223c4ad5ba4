import { Redis, type RedisOptions } from "@shardcast/redis";
import type { IngestMemory } from "../ingest-memory.ts";
import { RedisRelay, type RelayLink } from "./relay-link.ts";

/** How to reach the other nodes that read the same topics. */
export interface RelayOptions {
	readonly redis: RedisOptions;
	/** Of all keys and channels in Redis. */
	readonly prefix: string;
}

/** The shard's own connection to Redis reports troubles. */
const silent = { info: () => {}, warn: () => {} };

/** Starts connecting. @throws when a certificate cannot be read. */
export function openRelay({ redis, prefix }: RelayOptions, memory: Pick<IngestMemory, "worker">): RelayLink {
	return new RedisRelay(new Redis(redis, silent).open(), prefix, () => memory.worker.add("relayDropped"));
}
