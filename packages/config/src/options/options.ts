import type { Option, ServingCommand } from "./option.ts";
import { clusterOptions } from "./options-cluster.ts";
import { connectionOptions } from "./options-connections.ts";
import { kafkaOptions } from "./options-kafka.ts";
import { logOptions } from "./options-log.ts";
import { supervisionOptions } from "./options-supervision.ts";

/** The sections, in the order in which `--help` and `config print` show them. A new section is a new file and a line here. */
export const sections = {
	Cluster: clusterOptions,
	Connections: connectionOptions,
	Kafka: kafkaOptions,
	Supervision: supervisionOptions,
	Log: logOptions,
} as const;

/** Every setting by its property in `Config`. */
export const options = { ...clusterOptions, ...connectionOptions, ...kafkaOptions, ...supervisionOptions, ...logOptions } as const;

type Options = typeof options;
export type ConfigKey = keyof Options;

/** All settings, checked and frozen; plain data, so that it can be sent to another process. */
export type Config = { readonly [K in ConfigKey]: Options[K] extends Option<infer T> ? T : never };

export const configKeys = Object.keys(options) as ConfigKey[];

/** The table's row without its type parameter, for code that goes over all rows. */
export function optionOf(key: ConfigKey): Option<unknown> {
	return options[key] as unknown as Option<unknown>;
}

export function environmentName(key: ConfigKey): string {
	return `SHARDCAST_${optionOf(key).flag.replaceAll("-", "_").toUpperCase()}`;
}

/** The key in the config file: the flag in camelCase. */
export function fileKey(key: ConfigKey): string {
	return optionOf(key).flag.replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** The settings of this command that may change while it runs. */
export function liveKeysOf(command: ServingCommand): ConfigKey[] {
	return keysOf(command).filter((key) => optionOf(key).live);
}

export function keysOf(command: ServingCommand): ConfigKey[] {
	return configKeys.filter((key) => optionOf(key).commands.includes(command));
}
