import { asInFile, type Config, type ConfigKey, defaultConfig, type Found, loadConfig, optionOf, sameSetting } from "@shardcast/config";

/**
 * Settings given as a JavaScript object, checked like those of the command line, each and all across.
 * @throws ConfigError with a line for each that is wrong, which begins with its key.
 */
export function checkedConfig(given: Partial<Config>): Config {
	const known = defaultConfig();
	const found = new Map<ConfigKey, Found>();
	const unknown: string[] = [];
	for (const [key, value] of Object.entries(given) as [ConfigKey, unknown][]) {
		if (!(key in known)) unknown.push(`${key}: there is no such setting`);
		// What is as it would be anyway needs no check; "no key", which no text can say, is among it.
		else if (value !== undefined && !sameSetting(value, known[key]))
			found.set(key, { raw: asInFile(optionOf(key), value), source: { kind: "flag", name: key } });
	}
	return loadConfig({ flags: found }, { mistakes: unknown }).config;
}
