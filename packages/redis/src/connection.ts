import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { RedisArgument } from "@redis/client";
import { RedisError } from "./redis-error.ts";
import type { RedisOptions } from "./redis-options.ts";
import { within } from "./within.ts";

const require = createRequire(import.meta.url);
let loaded: typeof import("@redis/client") | null = null;

/** Loaded only by processes that use Redis, since loading takes about 0.1 s of CPU. */
function library(): typeof import("@redis/client") {
	loaded ??= require("@redis/client") as typeof import("@redis/client");
	return loaded;
}

/** An argument of a command. Bytes must be in a Buffer. */
export type Argument = string | Buffer;
export type MessageListener = (message: Buffer) => void;

interface ConnectionEvents {
	/** Connected, or the servers of a cluster have changed: subscriptions may be missing. May be called more often than needed. */
	onReady(): void;
	/** The connection for commands is lost and will be reopened. Not called for a single server of a cluster. */
	onLost(error: RedisError): void;
	/** An attempt to connect has failed and will be repeated. */
	onError(error: RedisError): void;
}

/** The connections to one Redis server, or to those of a cluster. The only interface to the library. It reconnects until it is destroyed. */
export interface Connection {
	/** Resolves when connected. @throws RedisError when connecting can never succeed. */
	connect(): Promise<void>;
	/** @param key selects the server of a cluster; null = any. @param bytes return strings in the reply as Buffers. */
	send(key: string | null, args: readonly Argument[], bytes: boolean): Promise<unknown>;
	info(): Promise<string>;
	subscribe(channel: string, sharded: boolean, listener: MessageListener): Promise<void>;
	unsubscribe(channel: string, sharded: boolean): Promise<void>;
	destroy(): void;
}

const retryMsMin = 50;
const retryMsMax = 2000;
const redirectionsMax = 16;
/** After this time without a connection to one server of a cluster, the others are asked for the cluster's servers. */
const refreshMs = 500;
/** The library's event when servers have left a cluster. A test of a failover would notice another name. */
const resubscribeEvent = "__resubscribeListeners";
const asBytes = () => ({ typeMapping: { [library().RESP_TYPES.BLOB_STRING]: Buffer } }) as const;

export function openConnection(options: RedisOptions, events: ConnectionEvents): Connection {
	return options.address.isCluster ? clusterConnection(options, events) : serverConnection(options, events);
}

/** Doubles from 50 ms up to 2 s; the jitter keeps nodes from reconnecting all at once. */
export function retryMs(attempt: number, random: () => number = Math.random): number {
	const ms = Math.min(retryMsMax, retryMsMin * 2 ** Math.min(attempt, 10));
	return Math.round(ms * (0.5 + random() / 2));
}

function serverConnection(options: RedisOptions, events: ConnectionEvents): Connection {
	const { createClient } = library();
	const textAsBytes = asBytes();
	const { host, port } = options.address.nodes[0];
	const create = (role: string) => {
		const common = commonOptions(options, role);
		return createClient({ ...common, socket: { ...common.socket, host, port }, database: options.address.database });
	};
	const client = create("commands");
	client.on("error", (error: unknown) => events[client.isReady ? "onError" : "onLost"](redisError(error)));
	client.on("ready", () => events.onReady());
	let subscriber: ReturnType<typeof create> | null = null;
	let subscribing: Promise<ReturnType<typeof create>> | null = null;
	const connectSubscriber = async () => {
		subscriber = create("subscriptions");
		subscriber.on("error", (error: unknown) => events.onError(redisError(error)));
		subscriber.on("ready", () => events.onReady());
		await subscriber.connect();
		return subscriber;
	};
	return {
		connect: async () => {
			await translated(client.connect());
		},
		send: (_key, args, bytes) => translated(client.sendCommand(args as readonly RedisArgument[], bytes ? textAsBytes : {})),
		// Also whether it is a replica.
		info: () => translated(client.sendCommand<string>(["INFO"])),
		subscribe: async (channel, sharded, listener) => {
			subscribing ??= connectSubscriber();
			const to = await translated(subscribing);
			await translated(sharded ? to.sSubscribe(channel, listener, true) : to.subscribe(channel, listener, true));
		},
		unsubscribe: async (channel, sharded) => {
			const from = subscriber;
			if (from !== null) await translated(sharded ? from.sUnsubscribe(channel) : from.unsubscribe(channel));
		},
		destroy: () => {
			client.destroy();
			subscriber?.destroy();
		},
	};
}

function clusterConnection(options: RedisOptions, events: ConnectionEvents): Connection {
	const common = commonOptions(options, "cluster");
	const textAsBytes = asBytes();
	const { createCluster, RootNodesUnavailableError } = library();
	const cluster = createCluster({
		rootNodes: options.address.nodes.map(({ host, port }) => ({ ...common, socket: { ...common.socket, host, port } })),
		defaults: common,
		maxCommandRedirections: redirectionsMax,
		topologyRefreshOnReconnectionAttemptStrategy: refreshMs,
	});
	let renewing: NodeJS.Timeout | undefined;
	const renew = () => {
		renewing = undefined;
		if (cluster.isReady) events.onReady();
	};
	const deadlineMs = options.connectTimeoutMs + options.answerTimeoutMs;
	// The library subscribes again by itself when a server has left, but nobody learns when that fails, and the process would end.
	const former = cluster.listeners(resubscribeEvent) as (() => void)[];
	cluster.on(resubscribeEvent, () => events.onReady());
	// Not `removeAllListeners`: the object inherits its events, and would have different ones from then on.
	for (const listener of former) cluster.off(resubscribeEvent, listener);
	/** The last error of a server. More useful than the library's "no server can be reached". */
	let problem: RedisError | null = null;
	cluster.on("error", (error: unknown) => {
		problem = redisError(error);
		events.onError(problem);
		// The connection for plain subscriptions may be missing now.
		if (cluster.isReady) renewing ??= setTimeout(renew, refreshMs).unref();
	});
	cluster.on("node-error", (error: unknown) => events.onError(redisError(error)));
	cluster.on("node-ready", () => {
		// Until it is ready, the library refuses all commands: `connect` waits for the other servers.
		if (cluster.isReady) events.onReady();
	});
	cluster.on("sharded-channel-moved-error", (error: unknown) => {
		events.onError(redisError(error));
		events.onReady();
	});
	return {
		connect: async () => {
			try {
				// The library waits without limit for a server that the others still count as one of them.
				await within(cluster.connect(), deadlineMs, "not all servers of the cluster are reached");
			} catch (error) {
				throw error instanceof RootNodesUnavailableError && problem !== null ? problem : redisError(error);
			}
			events.onReady();
		},
		send: (key, args, bytes) =>
			translated(cluster.sendCommand(key ?? undefined, false, args as RedisArgument[], { timeout: 0, ...(bytes ? textAsBytes : {}) })),
		info: async () => {
			let problem = new RedisError("unavailable", "the cluster has no server");
			for (const { client } of cluster.masters)
				try {
					if (client?.isReady !== true) continue;
					return await translated(client.sendCommand<string>(["INFO", "server", "memory"]));
				} catch (error) {
					problem = error as RedisError;
				}
			throw problem;
		},
		subscribe: (channel, sharded, listener) =>
			translated(sharded ? cluster.sSubscribe(channel, listener, true) : cluster.subscribe(channel, listener, true)),
		unsubscribe: (channel, sharded) => translated(sharded ? cluster.sUnsubscribe(channel) : cluster.unsubscribe(channel)),
		destroy: () => {
			clearTimeout(renewing);
			cluster.destroy();
		},
	};
}

function commonOptions({ address, tls, connectTimeoutMs, answerTimeoutMs, clientName }: RedisOptions, role: string) {
	const read = (path: string | null) => (path === null ? undefined : readFileSync(path));
	return {
		...(address.user === "" ? {} : { username: address.user }),
		...(address.password === "" ? {} : { password: address.password }),
		name: `${clientName}:${role}`,
		// `Redis` queues and counts waiting commands. A timer for each command would cost more than the command.
		disableOfflineQueue: true,
		// Detects a server that stops responding while nothing is sent. While commands are sent, `Redis` detects it.
		pingInterval: Math.ceil(answerTimeoutMs / 3),
		commandOptions: { timeout: 0 },
		maintNotifications: "disabled" as const,
		socket: {
			connectTimeout: connectTimeoutMs,
			socketTimeout: answerTimeoutMs,
			reconnectStrategy: (attempt: number) => retryMs(attempt),
			...(tls !== null && {
				tls: true as const,
				rejectUnauthorized: tls.verify,
				ca: read(tls.caPath),
				cert: read(tls.certPath),
				key: read(tls.keyPath),
			}),
		},
	};
}

async function translated<T>(promise: Promise<T>): Promise<T> {
	try {
		return await promise;
	} catch (error) {
		throw redisError(error);
	}
}

/** Replies that mean "not now". The command was not executed. */
const notNow = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY|READONLY)\b/;
const otherLogin = /^(NOAUTH|WRONGPASS|NOPERM)\b|invalid password|without any password configured/i;

/** Node's error codes for a certificate that it does not accept. */
const badCertificate = /CERT|SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME/;

function redisError(error: unknown): RedisError {
	if (error instanceof RedisError) return error;
	const { message, code } = error as NodeJS.ErrnoException;
	const { ClientClosedError, ClientOfflineError, ErrorReply, RootNodesUnavailableError } = library();
	if (error instanceof ErrorReply) {
		if (message.startsWith("NOAUTH")) return new RedisError("login", "NOAUTH, it requires a password: redis://:password@10.0.0.5:6379");
		if (otherLogin.test(message)) return new RedisError("login", message);
		if (notNow.test(message)) return new RedisError("unavailable", message);
		if (/unknown command.*hello/i.test(message))
			return new RedisError("unsuitable", "the server is older than Redis 6; use Redis 7 or later");
		if (/cluster support disabled/i.test(message))
			return new RedisError("unsuitable", "the server is no part of a Redis Cluster; write redis:// in its address");
		if (/DB index is out of range/i.test(message))
			return new RedisError("unsuitable", "it has no database with this number; see `databases` in its configuration");
		return new RedisError("refused", message);
	}
	if (error instanceof ClientOfflineError || error instanceof ClientClosedError)
		return new RedisError("unavailable", "it is not connected");
	if (error instanceof RootNodesUnavailableError) return new RedisError("unavailable", "no server of the cluster is reached");
	if (badCertificate.test(code ?? "")) return new RedisError("unsuitable", `its certificate is not accepted: ${message}`);
	return new RedisError("interrupted", message === "" || message === undefined ? (code ?? String(error)) : message);
}
