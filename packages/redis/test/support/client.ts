import { parseRedisAddress } from "@shardcast/config";
import { Redis, type RedisOptions } from "@shardcast/redis";
import { silentLog } from "@shardcast/telemetry";

/** A client for tests, opened; close it. */
export function openRedis(url: string, changes: Partial<RedisOptions> = {}): Redis {
	return new Redis(
		{
			address: parseRedisAddress(url),
			tls: null,
			// On a busy machine an answer may take seconds.
			connectTimeoutMs: 5000,
			answerTimeoutMs: 10_000,
			clientName: "test",
			waitingMax: 100,
			...changes,
		},
		silentLog(),
	).open();
}
