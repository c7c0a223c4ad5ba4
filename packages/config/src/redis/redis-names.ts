import type { Config } from "../options/options.ts";
import { parseRedisAddress } from "./redis-address.ts";

/**
 * With what all names of keys and channels in Redis begin. Channels of Redis belong to no database, so a database other than 0 is part of it, after a
 * character that no prefix has. Otherwise clusters in two databases would get each other's messages and orders.
 */
export function redisNamesOf({ redisAddress, redisPrefix }: Pick<Config, "redisAddress" | "redisPrefix">): string {
	const database = redisAddress === undefined ? 0 : parseRedisAddress(redisAddress).database;
	return database === 0 ? redisPrefix : `${redisPrefix}/${database}`;
}
