import { type Config, parseRedisAddress, redisNamesOf } from "@shardcast/config";
import type { RedisOptions } from "@shardcast/redis";
import { type NodeKeys, nodeKeys } from "./node-keys.ts";

/** Most commands that may wait while Redis cannot be reached. */
const waitingMax = 10_000;

/** How to reach Redis, from the options. @param clientName such as "shardcast:n1"; null when there is no Redis. */
export function redisOptionsOf(config: Config, clientName: string): RedisOptions | null {
	if (config.redisAddress === undefined) return null;
	const address = parseRedisAddress(config.redisAddress);
	const path = (text: string) => (text === "" ? null : text);
	const { redisTlsCa, redisTlsCert, redisTlsKey, redisTlsVerify } = config;
	return {
		address,
		tls: address.tls
			? { caPath: path(redisTlsCa), certPath: path(redisTlsCert), keyPath: path(redisTlsKey), verify: redisTlsVerify }
			: null,
		connectTimeoutMs: config.redisConnectTimeoutMs,
		answerTimeoutMs: config.redisTimeoutMs,
		clientName,
		waitingMax,
	};
}

/** Where the nodes keep what they share. Only if Redis is configured. */
export function nodeKeysOf(config: Config): NodeKeys {
	return nodeKeys(redisNamesOf(config), parseRedisAddress(config.redisAddress!).isCluster);
}
