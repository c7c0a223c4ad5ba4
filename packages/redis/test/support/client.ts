import { parseRedisAddress } from "@shardcast/config";
import { Redis, type RedisOptions } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";

/** A client for tests, opened; close it. */
export function openRedis(url: string, changes: Partial<RedisOptions> = {}): Redis {
	return new Redis(
		{
			address: parseRedisAddress(url),
			tls: null,
			connectTimeoutMs: 1000,
			answerTimeoutMs: 2000,
			clientName: "test",
			waitingMax: 100,
			...changes,
		},
		silentLog(),
	).open();
}
