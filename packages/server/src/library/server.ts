import { captureRejectionSymbol, EventEmitter } from "node:events";
import {
	type Config,
	ConfigError,
	type ConfigInput,
	loadCertificates,
	parseAddress,
	sameValue,
	urlHost,
	usesTls,
	WithdrawnHistories,
} from "@shardcast/config";
import {
	CertificateWatch,
	type ClusterEvent,
	type ClusterNode,
	type ClusterNodes,
	ConfigReloader,
	RouteReloader,
} from "@shardcast/control";
import { newlyOpen } from "@shardcast/http";
import { Deadline } from "@shardcast/process";
import { BoundedLines, createLog, type Log } from "@shardcast/telemetry";
import { channelList, type PublishResult, RecordKind } from "@shardcast/wire";
import type { MessageHandler, Middleware } from "../delivery/incoming/middleware.ts";
import { StatusLine } from "../lifecycle/status-line.ts";
import type { ClientMessageHandler, RpcHandler } from "../sessions/centrifuge/client-handlers.ts";
import { bytesOf, channelsOf, checkKeys, checkMs, detailsOf } from "./arguments.ts";
import { checkedConfig } from "./checked-config.ts";
import { type Connection, Connections } from "./connections.ts";
import { Control } from "./control.ts";
import { DebugProbes } from "./debug-probes.ts";
import { Host } from "./host.ts";
import { checkSink, type MetricSink, SinkFeed } from "./metric-sink.ts";
import { reloadedConfig } from "./reload.ts";
import { Users } from "./users.ts";

export interface ServerOptions {
	/** Runs around each message, the first one outermost. */
	readonly middleware?: readonly Middleware[];
	/**
	 * How long one message may wait, behind others of its sender and for its middleware, in milliseconds from its arrival, from 1; then it is
	 * lost and counted. 10,000 if not given.
	 */
	readonly middlewareTimeoutMs?: number;
	/** JSON or pretty lines on stderr if not given. */
	readonly log?: Log;
	/** Gets `[<time>] Conns: N, Msgs: M` every two seconds; false = no status line. stdout if not given. */
	readonly statusLine?: ((line: string) => void) | false;
	readonly metricSink?: MetricSink;
}

export interface PublishTarget {
	/** To the clients of this channel; to all clients if neither is given. */
	readonly channel?: string;
	/** To the clients of any of these, each once; not empty. */
	readonly channels?: readonly string[];
	/** For subscribers of the Centrifuge protocol, and for their filters. */
	readonly tags?: Readonly<Record<string, string>>;
	/**
	 * A second message with the same key into the same channel, within five minutes, is not published again: the result has the position of the first, and `duplicate`. Needs one
	 * channel.
	 */
	readonly idempotencyKey?: string;
	/** Subscribers that take deltas may get the difference to the publication before. */
	readonly delta?: boolean;
}

export interface ServerEvents {
	open: [connection: Connection];
	/** Of a connection that opened while somebody listened for open or close. */
	close: [connection: Connection, code: number];
	/** Another machine is there, where `redisAddress` is given. Each is told of once, those that are there already as well. */
	nodeJoined: [node: ClusterNode];
	/** It is gone: its heartbeats stopped ("timeout"), it was "stopped", or another process has taken its place ("replaced"). */
	nodeLeft: [node: ClusterNode, reason: "timeout" | "stopped" | "replaced"];
	/** Something but its load has changed, such as its status. */
	nodeUpdated: [node: ClusterNode];
}

const optionKeys = Object.keys({
	middleware: true,
	middlewareTimeoutMs: true,
	log: true,
	statusLine: true,
	metricSink: true,
} satisfies Record<keyof ServerOptions, true>);
const endedByThen = "the server has been shut down";
const listenerErrorEveryMs = 1000;
const statusErrorEveryMs = 60_000;
/** The sink gets so long for the last numbers even when the stop has taken all of its time. */
const lastNumbersMsMin = 1000;

/**
 * One shard in the program's own process: the same code that a cluster runs, without supervisor, balancer and fork. Any number
 * of them may run in one process. It handles no signals: that is the program's business.
 *
 * Used on one thread. Events: `open` and `close` of connections, `nodeJoined`, `nodeLeft` and `nodeUpdated` of other machines; a listener that throws, or whose promise rejects, costs a log line.
 */
export class Server extends EventEmitter<ServerEvents> {
	readonly control: Control;
	/** Orders about the connections of a user. */
	readonly users: Users;
	readonly #log: Log;
	readonly #host: Host;
	readonly #connections = new Connections();
	readonly #statusLine: StatusLine | null;
	readonly #sinkFeed: SinkFeed | null;
	readonly #certificateWatch: CertificateWatch;
	readonly #withdrawn = new WithdrawnHistories();
	readonly #listenerErrors = new BoundedLines(listenerErrorEveryMs);
	readonly #statusErrors = new BoundedLines(statusErrorEveryMs);
	#config: Config;
	#running: Promise<void> | null = null;
	#ended: Promise<number> | null = null;

	constructor(config: Config, options: ServerOptions) {
		super({ captureRejections: true });
		this.#config = config;
		this.#log = options.log ?? createLog({ name: "shardcast", level: config.logLevel, format: config.logFormat });
		const { middlewareTimeoutMs } = options;
		if (middlewareTimeoutMs !== undefined) checkMs("middlewareTimeoutMs", middlewareTimeoutMs);
		if (options.metricSink !== undefined) checkSink(options.metricSink);
		const { certificates, warnings } = loadCertificates(config, (key) => key);
		for (const warning of warnings) this.#log.warn(warning);
		this.#host = new Host({
			config,
			certificates,
			log: this.#log,
			handlerDeadlineMs: middlewareTimeoutMs,
			nodeEvents: {
				joined: (node) => this.#tell("nodeJoined", node),
				left: (node, reason) => this.#tell("nodeLeft", node, reason),
				updated: (node) => this.#tell("nodeUpdated", node),
			},
			events: {
				opened: (session) => {
					if (this.listenerCount("open") + this.listenerCount("close") > 0) this.#tell("open", this.#connections.add(session));
				},
				closed: (session, code) => {
					const connection = this.#connections.remove(session);
					if (connection !== undefined) this.#tell("close", connection, code);
				},
			},
		});
		this.#certificateWatch = new CertificateWatch({
			config: () => this.#config,
			certificates,
			reloads: this.#host.certificateReloads,
			name: (key) => key,
			apply: (next) => this.#host.useCertificates(next),
			log: this.#log,
			tell: (level, text) => this.#host.events.add(level, text),
		});
		const { statusLine = (line) => console.log(line), metricSink } = options;
		const connections = () => this.#host.connections;
		const messages = () => this.#host.messages;
		const onError = (error: unknown) =>
			this.#statusErrors.offer((leftOut) => this.#log.warn({ error, leftOut }, "the status line could not be printed"));
		this.#statusLine = statusLine === false ? null : new StatusLine({ connections, messages, print: statusLine, onError });
		this.#sinkFeed =
			metricSink === undefined ? null : new SinkFeed({ sink: metricSink, values: () => this.#host.values(), log: this.#log });
		const probes = new DebugProbes();
		probes.register("connections", connections);
		probes.register("total_messages", messages);
		this.control = new Control({
			probes,
			reload: (changes) => this.#reload(changes),
			reloadRoute: () => this.#reloadRoute(),
			reloadCertificates: () => this.#certificateWatch.reload(),
			metrics: () => this.#host.metrics(),
		});
		this.users = new Users((question, request) => this.#host.ask(question, request));
		for (const middleware of options.middleware ?? []) this.use(middleware);
	}

	/** The current options. */
	get config(): Config {
		return this.#config;
	}

	/** The port; 0 = it does not listen. */
	get port(): number {
		return this.#host.shard.port;
	}

	/** Such as "ws://127.0.0.1:9002", or "wss://…" with TLS. */
	get url(): string {
		return `${usesTls(this.#config) ? "wss" : "ws"}://${urlHost({ ...parseAddress(this.#config.addr), port: this.port })}`;
	}

	/** Reads all options again from where they came from, as `shardcast single` does on SIGHUP. */
	reloader(input: ConfigInput): ConfigReloader {
		const { reloads, events } = this.#host;
		return new ConfigReloader({
			command: "single",
			input,
			started: this.#config,
			running: () => this.#config,
			apply: (config) => this.#apply(config),
			counts: reloads,
			log: this.#log,
			tell: (level, text) => events.add(level, text),
		});
	}

	/** Which machines there are, as this one knows them, itself included; null without Redis. */
	nodes(): ClusterNodes | null {
		return this.#host.nodes();
	}

	/** Adds a handler inside those that are there, for all messages from now on. */
	use(middleware: Middleware): this {
		this.#host.shard.use(middleware);
		return this;
	}

	/**
	 * Answers calls (`rpc`) of clients of the Centrifuge protocol. A client's later commands wait for the answer, for `middlewareTimeoutMs` at most. Without any
	 * handler calls get error 108, with others 104.
	 * @throws when the method has a handler.
	 */
	onRpc(method: string, handler: RpcHandler): this {
		this.#host.shard.clientHandlers.onRpc(method, handler);
		return this;
	}

	/**
	 * Takes messages (`send`) of clients of the Centrifuge protocol, which get no answer. A client's later commands wait for it. Without it such a client is
	 * closed with 3508.
	 * @throws when there is one.
	 */
	onMessage(handler: ClientMessageHandler): this {
		this.#host.shard.clientHandlers.onMessage(handler);
		return this;
	}

	/**
	 * Starts, once; resolves when it serves.
	 * @throws StartupError when it cannot listen, such as for a port that is taken.
	 */
	run(handler?: MessageHandler): Promise<void> {
		if (this.#ended !== null) throw new Error(`${endedByThen}; create another one`);
		if (this.#running !== null) throw new Error("the server runs already");
		if (handler !== undefined) this.#host.shard.onMessage(handler);
		this.#running = this.#start();
		return this.#running;
	}

	/**
	 * Sends a message to clients; text as a text frame, bytes as a binary one. It passes through the handlers like any other. The bytes may be
	 * reused at once.
	 * @returns what came of it: a promise that never rejects, and through Kafka settles within about 15 s. Without Kafka and handlers that wait
	 * the message is on its way before this returns.
	 * @throws RangeError, at once, when it is longer than `maxPayloadBytes`, for a bad channel name, or for a list without any; TypeError for
	 * another key or type; an Error before `run` and after `shutdown`.
	 */
	publish(message: string | Uint8Array, target: PublishTarget = {}): Promise<PublishResult> {
		const names = channelsOf(target);
		const details = detailsOf(target);
		const payload = bytesOf(message);
		if (this.#ended !== null) throw new Error(endedByThen);
		if (this.#running === null) throw new Error("the server does not run yet; await run() first");
		const { maxPayloadBytes } = this.#config;
		if (payload.length > maxPayloadBytes) throw new RangeError(`the message is ${payload.length} bytes; the most is ${maxPayloadBytes}`);
		const kind = typeof message === "string" ? RecordKind.text : RecordKind.binary;
		return Promise.resolve(this.#host.shard.publish(kind, channelList(names), payload, details));
	}

	/**
	 * Stops in order: nothing new, what is in flight goes out, clients are told to go. A second call waits for the same end. With
	 * `drainDelayMs` it serves on for so long first, while /ready answers 503.
	 * @param timeoutMs after which the rest is cut off; `shutdownTimeoutMs` if not given.
	 * @returns how many messages and clients were cut off.
	 */
	shutdown(timeoutMs = this.#config.shutdownTimeoutMs): Promise<number> {
		this.#ended ??= this.#stop(timeoutMs);
		return this.#ended;
	}

	async #start(): Promise<void> {
		await this.#host.start();
		this.#certificateWatch.start();
		this.#statusLine?.start();
		this.#sinkFeed?.start();
	}

	async #stop(timeoutMs: number): Promise<number> {
		const started = await this.#running?.then(
			() => true,
			() => false,
		);
		this.#certificateWatch.stop();
		if (started !== true) return 0;
		this.#statusLine?.stop();
		const { drainDelayMs } = this.#config;
		const deadline = new Deadline(drainDelayMs + timeoutMs);
		const cutOff = await this.#host.stop(drainDelayMs, timeoutMs);
		this.#sinkFeed?.stop();
		await this.#sinkFeed?.writeLast(Math.max(lastNumbersMsMin, deadline.leftMs()));
		return cutOff;
	}

	#reload(changes: Partial<Config>): void {
		const { reloads } = this.#host;
		try {
			const config = reloadedConfig(this.#config, changes);
			const result = sameValue(config, this.#config) ? "unchanged" : "applied";
			this.#apply(config);
			reloads[result]++;
		} catch (error) {
			reloads.rejected++;
			throw error;
		}
	}

	async #reloadRoute(): Promise<void> {
		const tell = (level: ClusterEvent["level"], text: string) => this.#host.events.add(level, text);
		const apply = () => this.#host.reloadRoute();
		const problem = await new RouteReloader({ path: this.#config.kafkaRoute, apply, log: this.#log, tell }).reload();
		if (problem !== null) throw new ConfigError([`kafkaRoute: ${problem}`]);
	}

	#apply(config: Config): void {
		// First, since they may fail.
		const withdraw = this.#withdrawn.prepare(this.#config, config);
		const useCertificates = this.#certificateWatch.prepare(config);
		this.#host.reload(config);
		useCertificates();
		withdraw();
		for (const line of newlyOpen(this.#config, config)) {
			this.#log.error(line);
			this.#host.events.add("bad", line);
		}
		this.#config = config;
		this.#log.level = config.logLevel;
	}

	#tell<Name extends keyof ServerEvents>(name: Name, ...args: ServerEvents[Name]): void {
		try {
			(this.emit as (name: Name, ...args: ServerEvents[Name]) => boolean).call(this, name, ...args);
		} catch (error) {
			this.#listenerFailed(error, name);
		}
	}

	/** Where EventEmitter reports a listener whose promise rejects; without it that would end the process. */
	override [captureRejectionSymbol](error: unknown, ...[event]: readonly unknown[]): void {
		this.#listenerFailed(error, String(event));
	}

	#listenerFailed(error: unknown, event: string): void {
		this.#listenerErrors.offer((leftOut) => this.#log.warn({ error, leftOut }, `a listener for "${event}" failed`));
	}
}

/**
 * A server in this process, not yet started.
 * @param config what differs from `defaultConfig()`, or all of it.
 * @throws ConfigError with a line for each option that is wrong; TypeError for an option that is not known.
 */
export function createServer(config: Partial<Config> = {}, options: ServerOptions = {}): Server {
	checkKeys("createServer", "its options", options, optionKeys);
	return new Server(checkedConfig(config), options);
}
