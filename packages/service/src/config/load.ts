import { checkAcross, type NameOf } from "./check.ts";
import { ConfigError } from "./config-error.ts";
import { environmentWarnings, fromEnvironment } from "./environment.ts";
import { fromFile } from "./file.ts";
import { type Config, type ConfigKey, configKeys, optionOf } from "./options.ts";
import { describeSource, type Found, type FoundByKey, type Source } from "./source.ts";

export interface LoadedConfig {
	readonly config: Config;
	readonly sources: Readonly<Record<ConfigKey, Source>>;
	/** The config file that was read, if any. */
	readonly file: string | null;
	/** What is not wrong but probably not meant, one line each. */
	readonly warnings: readonly string[];
}

export interface ConfigInput {
	/** Flags as given on the command line, by key. */
	readonly flags?: FoundByKey;
	/** `--config`. */
	readonly file?: string | undefined;
	readonly environment?: NodeJS.ProcessEnv;
}

/**
 * Settles all settings, once per process: flag > environment > file > default, each value checked, then all across, then derived
 * and frozen.
 * @throws ConfigError with one line per mistake.
 */
export function loadConfig(input: ConfigInput = {}): LoadedConfig {
	const environment = input.environment ?? {};
	const file = input.file ?? (environment.SHARDCAST_CONFIG || null);
	const layers = [
		input.flags ?? new Map(),
		fromEnvironment(environment),
		file === null ? new Map() : fromFile(file, input.file === undefined ? "SHARDCAST_CONFIG" : "--config"),
	];

	const values: Partial<Record<ConfigKey, unknown>> = {};
	const sources = {} as Record<ConfigKey, Source>;
	const mistakes: string[] = [];
	for (const key of configKeys) {
		const found = layers.find((layer) => layer.has(key))?.get(key);
		sources[key] = found?.source ?? { kind: "default" };
		values[key] = found === undefined ? optionOf(key).default : check(key, found, mistakes);
	}
	if (mistakes.length > 0) throw new ConfigError(mistakes);

	const config = derive(values as Config, sources);
	const broken = checkAcross(config, settingNames(sources));
	if (broken.length > 0) throw new ConfigError(broken);
	return { config: freeze(config), sources, file, warnings: environmentWarnings(environment) };
}

/** The settings with nothing given but `changes`: for tests and for library use. */
export function defaultConfig(changes: Partial<Config> = {}): Config {
	return freeze({ ...loadConfig().config, ...changes });
}

function check(key: ConfigKey, found: Found, mistakes: string[]): unknown {
	const option = optionOf(key);
	const result = option.schema.safeParse(found.raw);
	if (result.success) return result.data;
	const shown = option.secret ? "the value" : `"${oneLine(found.raw)}"`;
	mistakes.push(`${describeSource(found.source)}: ${shown} ${result.error.issues[0].message}`);
	return undefined;
}

function derive(config: Config, sources: Record<ConfigKey, Source>): Config {
	if (!config.debug) return config;
	sources.logLevel = sources.debug;
	return { ...config, logLevel: "debug" };
}

/**
 * How a message names a setting: by where its value came from, since that is the place to mend it. A default is named by its
 * flag.
 */
export function settingNames(sources: LoadedConfig["sources"]): NameOf {
	return (key) => (sources[key].kind === "default" ? `--${optionOf(key).flag}` : describeSource(sources[key]));
}

function oneLine(raw: unknown): string {
	const text = typeof raw === "string" ? raw : JSON.stringify(raw);
	return text.replace(/\s+/g, " ").slice(0, 80);
}

function freeze(config: Config): Config {
	for (const value of Object.values(config)) Object.freeze(value);
	return Object.freeze(config);
}
