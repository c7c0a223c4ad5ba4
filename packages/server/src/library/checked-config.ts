import {
	type Config,
	type ConfigKey,
	closestWord,
	configKeys,
	defaultConfig,
	type FoundValue,
	filePath,
	loadConfig,
	optionOf,
	sameValue,
	toFileValue,
} from "@shardcast/config";

/** Suggests the property that was probably meant, also for the name of a flag or of a key in the file. */
export function unknownOption(name: string): string {
	const plain = (text: string) => text.replaceAll(/[-_.]/g, "").toLowerCase();
	const words = (key: ConfigKey) => [optionOf(key).flag, filePath(key), optionOf(key).key].map(plain);
	// Several sections have a key of this name; the property of the plain one is the shortest.
	const [same] = configKeys.filter((key) => words(key).includes(plain(name))).sort((one, other) => one.length - other.length);
	const meant = same ?? closestWord(name, configKeys);
	return `${name}: there is no such option${meant === undefined ? "" : `; did you mean ${meant}?`}`;
}

/**
 * Checks options given as a JavaScript object, like those of the command line: each of them, and all together.
 * @throws ConfigError with a line for each invalid option, which starts with its key.
 */
export function checkedConfig(given: Partial<Config>): Config {
	const known = defaultConfig();
	const found = new Map<ConfigKey, FoundValue>();
	const unknown: string[] = [];
	for (const [key, value] of Object.entries(given) as [ConfigKey, unknown][]) {
		if (!Object.hasOwn(known, key)) unknown.push(unknownOption(key));
		// A default value needs no check. One of them is "no key", which cannot be written as text.
		else if (value !== undefined && !sameValue(value, known[key]))
			found.set(key, { raw: toFileValue(optionOf(key), value), layer: { kind: "flag", name: key } });
	}
	return loadConfig({ flags: found }, { mistakes: unknown }).config;
}
