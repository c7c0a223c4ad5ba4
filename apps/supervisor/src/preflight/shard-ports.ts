import { type Config, ConfigError, type NameOf, parseAddress } from "@shardcast/config";

/**
 * The port of the first shard. The shards' ports are consecutive and must not include the balancer's. With the default ports (3002 and up,
 * balancer at 3005) a fourth shard would collide. Unless `--base-port` is set, the shards' ports are then moved after the balancer's.
 *
 * @param chosen whether `--base-port` is set.
 * @throws ConfigError when the chosen ports collide, or there are too few.
 */
export function firstShardPort(config: Pick<Config, "basePort" | "lbAddr">, shards: number, chosen: boolean, name: NameOf): number {
	const balancer = parseAddress(config.lbAddr).port;
	const collides = balancer >= config.basePort && balancer < config.basePort + shards;
	const first = collides && !chosen ? balancer + 1 : config.basePort;
	const last = first + shards - 1;
	if (collides && chosen) {
		const taken = `port ${balancer} is that of shard ${balancer - first}`;
		throw new ConfigError([`${name("lbAddr")}: ${taken}; choose one outside of ${first} to ${last}`]);
	}
	if (last > 65_535) {
		const highest = 65_536 - shards;
		throw new ConfigError([`${name("basePort")}: ${shards} shards from port ${first} would end at ${last}; choose at most ${highest}`]);
	}
	return first;
}
