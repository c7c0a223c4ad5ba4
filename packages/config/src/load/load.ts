import { checkAcross, type NameOf } from "../options/checks/check.ts";
import { type Config, type ConfigKey, configKeys, optionOf } from "../options/options.ts";
import { checkValue, unknownKeys } from "./check-value.ts";
import { ConfigError } from "./config-error.ts";
import { environmentWarnings, fromEnvironment } from "./environment.ts";
import { type FileValues, fromFile } from "./file/file.ts";
import { describeWithin, type FoundValue, type FoundValues, type Layer } from "./layer.ts";
import { sameValue } from "./same-value.ts";

export interface LoadedConfig {
	readonly config: Config;
	readonly layers: Readonly<Record<ConfigKey, Layer>>;
	/** The config file that was read, if any. */
	readonly file: string | null;
	/** What is not wrong but probably not meant, one line each. */
	readonly warnings: readonly string[];
	/** Options that the file gives in vain. */
	readonly overridden: readonly ConfigKey[];
}

export interface ConfigInput {
	/** Flags as given on the command line, by key. */
	readonly flags?: FoundValues;
	/** `--config`. */
	readonly file?: string | undefined;
	readonly environment?: NodeJS.ProcessEnv;
	/** What an option is when it is not given, where that is not what its row says. */
	readonly defaults?: Partial<Config>;
}

interface LoadOptions {
	/** The file has been read before. */
	readonly again?: boolean;
	/** What is wrong with the input itself, to be told with the rest. */
	readonly mistakes?: readonly string[];
}

/**
 * Resolves all options: flag > environment > file > default, each value checked, then all across, then derived and frozen.
 * @throws ConfigError with one line per mistake, all of them at once.
 */
export function loadConfig(input: ConfigInput = {}, { again = false, mistakes: given = [] }: LoadOptions = {}): LoadedConfig {
	const environment = input.environment ?? {};
	const file = input.file ?? (environment.SHARDCAST_CONFIG || null);
	const fileValues =
		file === null ? noFile : fromFile({ path: file, namedBy: input.file === undefined ? "SHARDCAST_CONFIG" : "--config", again });
	const foundByLayer = [input.flags ?? new Map(), fromEnvironment(environment), fileValues.found];

	const values: Partial<Record<ConfigKey, unknown>> = {};
	const layers = {} as Record<ConfigKey, Layer>;
	const mistakes = [...given, ...fileValues.mistakes];
	const warnings = [...environmentWarnings(environment), ...fileValues.warnings];
	// Most likely it was emptied or cut off by accident, and the defaults are more open than what holds now.
	if (again && file !== null && mistakes.length === 0 && fileValues.found.size === 0)
		mistakes.push(`${file}: has no options in it; write at least one, or restart for the defaults`);
	/** Options whose value is not known because of a mistake; they have their default meanwhile. */
	const open = new Set<ConfigKey>();
	const defaultOf = (key: ConfigKey): unknown => input.defaults?.[key] ?? optionOf(key).default;
	for (const key of configKeys) {
		const found = foundByLayer.find((found) => found.has(key))?.get(key);
		layers[key] = found?.layer ?? { kind: "default" };
		const checked = found === undefined ? { value: defaultOf(key) } : checkValue(optionOf(key), found);
		const wrong = "mistakes" in checked;
		if (wrong) mistakes.push(...checked.mistakes);
		if (found !== undefined) warnings.push(...unknownKeys(optionOf(key), found));
		values[key] = wrong ? defaultOf(key) : checked.value;
		const unread = found === undefined && (fileValues.unread === "all" || fileValues.unread.has(key));
		if (unread || wrong) open.add(key);
	}
	const config = derive(values as Config, layers);
	mistakes.push(...checkAcross(config, optionNames(layers), open));
	if (mistakes.length > 0) throw new ConfigError(mistakes);
	warnings.push(...aloneWarnings(config, optionNames(layers), layers));
	return { config: freeze(config), layers, file, warnings, overridden: overridden(config, layers, fileValues) };
}

/** Options that the file gives in vain: a flag or the environment says something else. */
function overridden(config: Config, layers: LoadedConfig["layers"], { found }: FileValues): ConfigKey[] {
	const isInVain = (key: ConfigKey, value: FoundValue): boolean => {
		if (layers[key].kind === "file") return false;
		const checked = checkValue(optionOf(key), value);
		return !("value" in checked && sameValue(checked.value, config[key]));
	};
	return [...found].filter(([key, value]) => isInVain(key, value)).map(([key]) => key);
}

/** What names a node to others, where there are none. */
function aloneWarnings(config: Config, name: NameOf, layers: LoadedConfig["layers"]): readonly string[] {
	const given = (["nodeId", "nodeAddress", "nodeUrl"] as const).filter((key) => layers[key].kind !== "default" && config[key] !== "");
	if (config.redisAddress !== undefined || given.length === 0) return [];
	return [`${given.map((key) => name(key)).join(", ")}: without Redis this machine works alone; set ${name("redisAddress")} or REDIS_URL`];
}

const noFile: FileValues = { found: new Map(), mistakes: [], warnings: [], unread: new Set() };

let standard: Config | undefined;

/** The configuration with nothing given but `changes`: for tests and for library use. */
export function defaultConfig(changes: Partial<Config> = {}): Config {
	standard ??= loadConfig().config;
	return Object.freeze({ ...standard, ...freeze({ ...changes }) });
}

function derive(config: Config, layers: Record<ConfigKey, Layer>): Config {
	if (!config.debug) return config;
	layers.logLevel = layers.debug;
	return { ...config, logLevel: "debug" };
}

/**
 * How a message names an option: by where its value came from, since that is the place to fix it. A default is named by its
 * flag.
 */
export function optionNames(layers: LoadedConfig["layers"]): NameOf {
	return (key, within = []) => (layers[key].kind === "default" ? `--${optionOf(key).flag}` : describeWithin(layers[key], within));
}

/** With everything in it. */
function freeze<T>(value: T): T {
	if (typeof value === "object" && value !== null) Object.values(value).forEach(freeze);
	return Object.freeze(value);
}
