import { inspect } from "node:util";
import { checkAcross, type NameOf } from "../options/check.ts";
import { type Config, type ConfigKey, configKeys, optionOf } from "../options/options.ts";
import { ConfigError } from "./config-error.ts";
import { environmentWarnings, fromEnvironment } from "./environment.ts";
import { type FileSettings, fromFile } from "./file.ts";
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
	/** Settings whose value is not known because of a mistake; they have their default meanwhile. */
	const open = new Set<ConfigKey>();
	for (const key of configKeys) {
		const found = layers.find((layer) => layer.has(key))?.get(key);
		sources[key] = found?.source ?? { kind: "default" };
		const value = found === undefined ? { right: optionOf(key).default } : check(key, found);
		if ("mistake" in value) mistakes.push(value.mistake);
		values[key] = "right" in value ? value.right : optionOf(key).default;
		const unread = found === undefined && (fileSettings.unread === "all" || fileSettings.unread.has(key));
		if (unread || "mistake" in value) open.add(key);
	}
	const config = derive(values as Config, sources);
	mistakes.push(...checkAcross(config, settingNames(sources), open));
	if (mistakes.length > 0) throw new ConfigError(mistakes);
	return { config: freeze(config), sources, file, warnings: environmentWarnings(environment) };
}

const noFile: FileSettings = { found: new Map(), mistakes: [], unread: new Set() };

/** The settings with nothing given but `changes`: for tests and for library use. */
export function defaultConfig(changes: Partial<Config> = {}): Config {
	return freeze({ ...loadConfig().config, ...changes });
}

function check(key: ConfigKey, found: Found): { readonly right: unknown } | { readonly mistake: string } {
	const option = optionOf(key);
	const result = option.schema.safeParse(found.raw);
	if (result.success) return { right: result.data };
	const shown = option.secret ? "the value" : `"${oneLine(found.raw)}"`;
	return { mistake: `${describeSource(found.source)}: ${shown} ${result.error.issues[0].message}` };
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
	return (key) => (sources[key].kind === "default" ? `--${optionOf(key).flag}` : describeSource(sources[key]));
}

function oneLine(raw: unknown): string {
	return (typeof raw === "string" ? raw : asJson(raw)).replace(/\s+/g, " ").slice(0, 80);
}

function asJson(raw: unknown): string {
	try {
		return JSON.stringify(raw) ?? String(raw);
	} catch {
		// A list within itself, a BigInt of the library's caller.
		return inspect(raw, { depth: 1 });
	}
}

function freeze(config: Config): Config {
	for (const value of Object.values(config)) Object.freeze(value);
	return Object.freeze(config);
}
