import { type Config, ConfigError, type ConfigKey, defaultConfig, liveKeysOf, sameValue } from "@shardcast/config";
import { checkedConfig, unknownOption } from "./checked-config.ts";

/** The options that take effect while a server runs; any other is fixed by then in a socket, a ring or a port. */
export const reloadableKeys: readonly ConfigKey[] = liveKeysOf("single").sort();

/**
 * The options after a change. A key that can't be changed may be given with the value that it has.
 * @throws ConfigError that names each key that can't be changed, or whose value is wrong.
 */
export function reloadedConfig(current: Config, changes: Partial<Config>): Config {
	const unknown = Object.keys(changes).filter((key) => !Object.hasOwn(current, key));
	if (unknown.length > 0) throw new ConfigError(unknown.map(unknownOption));
	const fixed = (Object.keys(changes) as ConfigKey[]).filter(
		(key) => !reloadableKeys.includes(key) && !sameValue(changes[key], current[key]),
	);
	if (fixed.length > 0)
		throw new ConfigError(fixed.map((key) => `${key}: can't be changed while the server runs; only ${reloadableKeys.join(", ")} can`));
	return checkedConfig({ ...current, ...undebugged(current, changes), ...changes });
}

/** `debug` stands for a log level, which goes with it. */
function undebugged(current: Config, changes: Partial<Config>): Partial<Config> {
	return current.debug && changes.debug === false ? { logLevel: defaultConfig().logLevel } : {};
}
