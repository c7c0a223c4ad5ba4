import type { Option, ServingCommand } from "./option.ts";
import { authOptions } from "./sections/clients/auth.ts";
import { channelOptions } from "./sections/clients/channel.ts";
import { clientOptions, consoleOptions } from "./sections/clients/client.ts";
import { proxiesOptions, rpcOptions } from "./sections/clients/proxy.ts";
import { webSocketOptions } from "./sections/clients/websocket.ts";
import { adminOptions } from "./sections/cluster/admin.ts";
import { balancerOptions, clusterOptions, singleOptions } from "./sections/cluster/cluster.ts";
import { edgeOptions } from "./sections/cluster/edge.ts";
import { gatewayOptions } from "./sections/cluster/gateway.ts";
import { nodeOptions } from "./sections/cluster/node.ts";
import { redisOptions } from "./sections/cluster/redis.ts";
import { redisBrokerOptions } from "./sections/cluster/redis-broker.ts";
import { remoteOptions } from "./sections/cluster/remote-shards.ts";
import { shardOptions } from "./sections/cluster/shard.ts";
import { shutdownOptions, supervisionOptions } from "./sections/cluster/supervision.ts";
import { guardOptions } from "./sections/server/guards.ts";
import { httpApiOptions } from "./sections/server/http-api.ts";
import { httpServerOptions } from "./sections/server/http-server.ts";
import { kafkaOptions } from "./sections/server/kafka.ts";
import { limitOptions } from "./sections/server/limits.ts";
import { logOptions } from "./sections/server/log.ts";
import { networkOptions } from "./sections/server/network.ts";
import { postgresOptions } from "./sections/server/postgres.ts";
import { tracingOptions } from "./sections/server/tracing.ts";
import { webhookOptions } from "./sections/server/webhooks.ts";
import { shapeOf } from "./shape.ts";

/**
 * The sections of the config file, in the order in which `--help` and `config print` show them, each with one sentence. A new section
 * is two lines here: this one, and one in `options`.
 */
export const sections = {
	cluster: { about: "Processes, cores, ports and shared memory.", options: clusterOptions },
	balancer: { about: "The address that clients connect to.", options: balancerOptions },
	remote: { about: "Shards of other machines, to which the balancer passes clients on.", options: remoteOptions },
	network: { about: "Load balancers and proxies in front of the server.", options: networkOptions },
	http_server: { about: "Encryption (TLS).", options: httpServerOptions },
	websocket: { about: "Compression of messages to WebSocket clients.", options: webSocketOptions },
	single: { about: "The server that `shardcast single` runs.", options: singleOptions },
	shard: { about: "How each shard delivers.", options: shardOptions },
	auth: { about: "Whether clients and publishers must authenticate.", options: authOptions },
	client: { about: "What clients may do, and when the server closes them.", options: clientOptions },
	channel: { about: "History and permissions of channels, for clients of the Centrifuge protocol.", options: channelOptions },
	rpc: { about: "Remote procedure calls from clients of the Centrifuge protocol.", options: rpcOptions },
	proxies: { about: "Named backends, which namespaces can refer to.", options: proxiesOptions },
	http_api: { about: "Publishing and the server API over HTTP.", options: httpApiOptions },
	webhooks: { about: "HTTP endpoints that get events about clients and channels.", options: webhookOptions },
	console: { about: "The console in the browser.", options: consoleOptions },
	limits: { about: "Limits on number, size and rate.", options: limitOptions },
	guards: {
		about: "Use of CPU, memory and descriptors from which a server takes no more work, until it is lower again.",
		options: guardOptions,
	},
	kafka: { about: "Reading from Kafka, and publishing through it. Without brokers, these options have no effect.", options: kafkaOptions },
	redis: {
		about: "The Redis server that the nodes of a cluster share. Without an address, this node works alone.",
		options: { ...redisOptions, ...redisBrokerOptions },
	},
	node: { about: "This node of a cluster. Without Redis, these options have no effect.", options: nodeOptions },
	edge: { about: "What `shardcast edge` does: it passes clients on to nodes.", options: edgeOptions },
	gateway: { about: "What `shardcast gateway` does: it connects WebSocket clients to TCP backends.", options: gatewayOptions },
	postgres: { about: "The database with the outbox. Without a URL, these options have no effect.", options: postgresOptions },
	admin_interface: { about: "Commands to a running cluster, such as `shardcast status`.", options: adminOptions },
	tracing: { about: "Traces for OpenTelemetry, and the log of slow messages.", options: tracingOptions },
	supervision: { about: "When processes are restarted, and when the supervisor gives up.", options: supervisionOptions },
	shutdown: { about: "How a server stops.", options: shutdownOptions },
	log: { about: "What is written to stderr.", options: logOptions },
} as const;

/** Every option by its property in `Config`. */
export const options = {
	...clusterOptions,
	...balancerOptions,
	...remoteOptions,
	...networkOptions,
	...httpServerOptions,
	...webSocketOptions,
	...singleOptions,
	...shardOptions,
	...authOptions,
	...clientOptions,
	...channelOptions,
	...rpcOptions,
	...proxiesOptions,
	...httpApiOptions,
	...webhookOptions,
	...consoleOptions,
	...limitOptions,
	...guardOptions,
	...kafkaOptions,
	...redisOptions,
	...redisBrokerOptions,
	...nodeOptions,
	...edgeOptions,
	...gatewayOptions,
	...postgresOptions,
	...adminOptions,
	...tracingOptions,
	...supervisionOptions,
	...shutdownOptions,
	...logOptions,
} as const;

type Options = typeof options;
export type ConfigKey = keyof Options;

/** All options, checked and frozen; plain data, so that it can be sent to another process. */
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
	for (const key of Object.keys(options) as ConfigKey[]) paths.set(key, [section, optionOf(key).key].filter(Boolean).join("."));

/** Where an option stands in the config file, such as "limits.message_rate", "kafka.tls.ca" or "proxies". */
export function filePath(key: ConfigKey): string {
	return paths.get(key)!;
}

/** The config file as a tree of sections, tables and options. */
export const fileShape = shapeOf(configKeys.map((key) => [filePath(key), key]));

const otherPaths = Object.entries(sections).flatMap(([section, { options }]) =>
	(Object.keys(options) as ConfigKey[]).flatMap((key) => {
		const { otherKey } = optionOf(key);
		return otherKey === null ? [] : [[`${section}.${otherKey}`, key] as const];
	}),
);

/** The same with the other names that options have. Each option's own name is the last, by which messages call it. */
export const readableShape = shapeOf([...otherPaths, ...configKeys.map((key) => [filePath(key), key] as const)]);

/** The options of this command that may change while it runs. */
export function liveKeysOf(command: ServingCommand): ConfigKey[] {
	return keysOf(command).filter((key) => optionOf(key).live);
}

export function keysOf(command: ServingCommand): ConfigKey[] {
	return configKeys.filter((key) => optionOf(key).commands.includes(command));
}
