import { type Config, ConfigError, type NameOf, parseAddress } from "@shardcast/config";

/**
 * The port of the first shard. The shards' ports lie in a row and must not hit the balancer's; with the default ports (3002 and on,
 * balancer at 3005) a fourth shard would. When nobody has chosen the shards' ports they then move behind the balancer's.
 *
 * @param chosen somebody has set `--base-port`.
 * @throws ConfigError when the chosen ports collide, or there are too few.
 */
export function firstShardPort(config: Pick<Config, "basePort" | "lbAddr">, shards: number, chosen: boolean, name: NameOf): number {
	const balancer = parseAddress(config.lbAddr).port;
	const collides = balancer >= config.basePort && balancer < config.basePort + shards;
	const first = collides && !chosen ? balancer + 1 : config.basePort;
	const last = first + shards - 1;
	if (collides && chosen) {
		const taken = `port ${balancer} is the one of shard ${balancer - first}`;
		throw new ConfigError([`${name("lbAddr")}: ${taken}; choose one outside of ${first} to ${last}`]);
	}
	if (last > 65_535) {
		const highest = 65_536 - shards;
		throw new ConfigError([`${name("basePort")}: ${shards} shards from port ${first} would end at ${last}; choose at most ${highest}`]);
	}
	return first;
}
