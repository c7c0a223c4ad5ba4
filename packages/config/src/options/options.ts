import type { Option, ServingCommand } from "./option.ts";
import { clientOptions, consoleOptions, httpApiOptions } from "./options-client.ts";
import { balancerOptions, clusterOptions, singleOptions } from "./options-cluster.ts";
import { kafkaOptions } from "./options-kafka.ts";
import { limitOptions } from "./options-limits.ts";
import { logOptions } from "./options-log.ts";
import { shardOptions } from "./options-shard.ts";
import { shutdownOptions, supervisionOptions } from "./options-supervision.ts";
import { shapeOf } from "./shape.ts";

/**
 * The sections of the config file, in the order in which `--help` and `config print` show them, each with one sentence. A new section
 * is two lines here: this one, and one in `options`.
 */
export const sections = {
	cluster: { about: "Processes, cores, ports, and the shared memory between them.", options: clusterOptions },
	balancer: { about: "The one address for all clients of a cluster.", options: balancerOptions },
	single: { about: "The server that `shardcast single` runs.", options: singleOptions },
	shard: { about: "How each shard delivers.", options: shardOptions },
	client: { about: "What a client may do, and how long the server waits for it.", options: clientOptions },
	http_api: { about: "Publishing over HTTP.", options: httpApiOptions },
	console: { about: "The console in the browser.", options: consoleOptions },
	limits: { about: "How many, how large and how fast.", options: limitOptions },
	kafka: { about: "Kafka as a source of messages, and as a way for them. Without brokers none of it is used.", options: kafkaOptions },
	supervision: { about: "When processes are restarted, and when the supervisor gives up.", options: supervisionOptions },
	shutdown: { about: "How a server stops.", options: shutdownOptions },
	log: { about: "What is written to stderr.", options: logOptions },
} as const;

/** Every option by its property in `Config`. */
export const options = {
	...clusterOptions,
	...balancerOptions,
	...singleOptions,
	...shardOptions,
	...clientOptions,
	...httpApiOptions,
	...consoleOptions,
	...limitOptions,
	...kafkaOptions,
	...supervisionOptions,
	...shutdownOptions,
	...logOptions,
} as const;

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

const paths = new Map<ConfigKey, string>();
for (const [section, { options }] of Object.entries(sections))
	for (const key of Object.keys(options) as ConfigKey[]) paths.set(key, `${section}.${optionOf(key).key}`);

/** Where an option stands in the config file, such as "limits.message_rate" or "kafka.tls.ca". */
export function filePath(key: ConfigKey): string {
	return paths.get(key)!;
}

/** The config file as a tree of sections, tables and options. */
export const fileShape = shapeOf(configKeys.map((key) => [filePath(key), key]));

/** The settings of this command that may change while it runs. */
export function liveKeysOf(command: ServingCommand): ConfigKey[] {
	return keysOf(command).filter((key) => optionOf(key).live);
}

export function keysOf(command: ServingCommand): ConfigKey[] {
	return configKeys.filter((key) => optionOf(key).commands.includes(command));
}
