import { type Config, ConfigError, type ConfigKey } from "@shardcast/service";
import { alike, checkedConfig } from "./settings.ts";

/** The settings that take effect while a server runs; any other is fixed by then in a socket, a ring or a limit. */
export const reloadableKeys = [
	"allowedOrigins",
	"apiKey",
	"drainRate",
	"flushMaxMs",
	"logLevel",
	"messageRate",
	"shutdownTimeoutMs",
] as const satisfies readonly ConfigKey[];

/**
 * The settings after a change. A key that can't be changed may be given with the value that it has.
 * @throws ConfigError that names each key that can't be changed, or whose value is wrong.
 */
export function reloadedConfig(current: Config, changes: Partial<Config>): Config {
	const fixed = (Object.keys(changes) as ConfigKey[]).filter(
		(key) => !(reloadableKeys as readonly ConfigKey[]).includes(key) && !alike(changes[key], current[key]),
	);
	if (fixed.length > 0)
		throw new ConfigError(fixed.map((key) => `${key}: can't be changed while the server runs; only ${reloadableKeys.join(", ")} can`));
	return checkedConfig({ ...current, ...changes });
}
