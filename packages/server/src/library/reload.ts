import { type Config, ConfigError, type ConfigKey, defaultConfig, liveKeysOf, sameValue } from "@shardcast/config";
import { checkedConfig, unknownOption } from "./checked-config.ts";

/** The options that can change while a server runs; the others are fixed in a socket, a ring or a port. */
export const reloadableKeys: readonly ConfigKey[] = liveKeysOf("single").sort();

/**
 * The options after a change. A fixed option may be given with its present value.
 * @throws ConfigError that names each option that is fixed or invalid.
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

/** `debug` implies a log level, which changes with it. */
function undebugged(current: Config, changes: Partial<Config>): Partial<Config> {
	return current.debug && changes.debug === false ? { logLevel: defaultConfig().logLevel } : {};
}
