import { checkAcross, type NameOf } from "../options/checks/check.ts";
import { type Config, type ConfigKey, configKeys, optionOf } from "../options/options.ts";
import { checkValue, foreignKeys } from "./check-value.ts";
import { ConfigError } from "./config-error.ts";
import { environmentWarnings, fromEnvironment } from "./environment.ts";
import { type FileSettings, fromFile } from "./file.ts";
import { describeWithin, type FoundByKey, type Source } from "./source.ts";

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

export interface LoadOptions {
	/** The file has been read before. */
	readonly again?: boolean;
	/** What is wrong with the input itself, to be told with the rest. */
	readonly mistakes?: readonly string[];
}

/**
 * Settles all settings: flag > environment > file > default, each value checked, then all across, then derived and frozen.
 * @throws ConfigError with one line per mistake, all of them at once.
 */
export function loadConfig(input: ConfigInput = {}, { again = false, mistakes: given = [] }: LoadOptions = {}): LoadedConfig {
	const environment = input.environment ?? {};
	const file = input.file ?? (environment.SHARDCAST_CONFIG || null);
	const fileSettings =
		file === null ? noFile : fromFile({ path: file, namedBy: input.file === undefined ? "SHARDCAST_CONFIG" : "--config", again });
	const layers = [input.flags ?? new Map(), fromEnvironment(environment), fileSettings.found];

	const values: Partial<Record<ConfigKey, unknown>> = {};
	const sources = {} as Record<ConfigKey, Source>;
	const mistakes = [...given, ...fileSettings.mistakes];
	const warnings = [...environmentWarnings(environment), ...fileSettings.warnings];
	// Most likely it was emptied or cut off by accident, and the defaults are more open than what holds now.
	if (again && file !== null && mistakes.length === 0 && fileSettings.found.size === 0)
		mistakes.push(`${file}: has no settings in it; write at least one, or restart for the defaults`);
	/** Settings whose value is not known because of a mistake; they have their default meanwhile. */
	const open = new Set<ConfigKey>();
	for (const key of configKeys) {
		const found = layers.find((layer) => layer.has(key))?.get(key);
		sources[key] = found?.source ?? { kind: "default" };
		const checked = found === undefined ? { value: optionOf(key).default } : checkValue(optionOf(key), found);
		const wrong = "mistakes" in checked;
		if (wrong) mistakes.push(...checked.mistakes);
		if (found !== undefined) warnings.push(...foreignKeys(optionOf(key), found));
		values[key] = wrong ? optionOf(key).default : checked.value;
		const unread = found === undefined && (fileSettings.unread === "all" || fileSettings.unread.has(key));
		if (unread || wrong) open.add(key);
	}
	const config = derive(values as Config, sources);
	mistakes.push(...checkAcross(config, settingNames(sources), open));
	if (mistakes.length > 0) throw new ConfigError(mistakes);
	return { config: freeze(config), sources, file, warnings };
}

const noFile: FileSettings = { found: new Map(), mistakes: [], warnings: [], unread: new Set() };

/** The settings with nothing given but `changes`: for tests and for library use. */
export function defaultConfig(changes: Partial<Config> = {}): Config {
	return freeze({ ...loadConfig().config, ...changes });
}

function derive(config: Config, sources: Record<ConfigKey, Source>): Config {
	if (!config.debug) return config;
	sources.logLevel = sources.debug;
	return { ...config, logLevel: "debug" };
}

/**
 * How a message names a setting: by where its value came from, since that is the place to fix it. A default is named by its
 * flag.
 */
export function settingNames(sources: LoadedConfig["sources"]): NameOf {
	return (key, within = []) => (sources[key].kind === "default" ? `--${optionOf(key).flag}` : describeWithin(sources[key], within));
}

/** With everything in it. */
function freeze<T>(value: T): T {
	if (typeof value === "object" && value !== null) Object.values(value).forEach(freeze);
	return Object.freeze(value);
}
