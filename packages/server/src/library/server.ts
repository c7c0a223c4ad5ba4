import { captureRejectionSymbol, EventEmitter } from "node:events";
import {
	type Config,
	ConfigError,
	type ConfigInput,
	type Failover,
	loadCertificates,
	parseAddress,
	sameValue,
	stopDelayMs,
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
	type ScaleEvent,
} from "@shardcast/control";
import { newlyOpen } from "@shardcast/http";
import { Deadline } from "@shardcast/process";
import type { RebalancePlan, SessionOutcome } from "@shardcast/selection";
import { BoundedLines, createLog, type Log } from "@shardcast/telemetry";
import { channelList, type PublishResult, RecordKind } from "@shardcast/wire";
import type { MessageHandler, Middleware } from "../delivery/incoming/middleware.ts";
import { StatusLine } from "../lifecycle/status-line.ts";
import type { Rebalance, RebalanceOptions } from "../nodes/rebalance.ts";
import type { ClientMessageHandler, RpcHandler } from "../sessions/centrifuge/client-handlers.ts";
import {
	assignmentOf,
	bytesOf,
	channelsOf,
	checkedFailover,
	checkedRebalance,
	checkFunction,
	checkKeys,
	checkLog,
	checkMs,
	describe,
	detailsOf,
	selectionOf,
	traceOf,
	userOf,
} from "./arguments.ts";
import { checkedConfig } from "./checked-config.ts";
import { type Connection, Connections } from "./connections.ts";
import { Control } from "./control.ts";
import { DebugProbes } from "./debug-probes.ts";
import { Host } from "./host.ts";
import { type Message, messageOf } from "./message.ts";
import { checkSink, type MetricSink, SinkFeed } from "./metric-sink.ts";
import { reloadedConfig } from "./reload.ts";
import { Users } from "./users.ts";

export interface ServerOptions {
	/** Wraps the publishing of each message; the first one is outermost. */
	readonly middleware?: readonly Middleware[];
	/**
	 * Milliseconds, at least 1, that a message may wait from its arrival, behind others of its sender and for its middleware. After that it is
	 * lost and counted. Default 10,000.
	 */
	readonly middlewareTimeoutMs?: number;
	/** Default: JSON or pretty lines on stderr. */
	readonly log?: Log;
	/** Called with `[<time>] Conns: N, Msgs: M` every two seconds; false = no status line. Default: stdout. */
	readonly statusLine?: ((line: string) => void) | false;
	readonly metricSink?: MetricSink;
}

export interface SelectNodeOptions {
	/** Nodes of this region come first. Default: as `selectRegion` says. */
	readonly region?: string;
	/** Ids of nodes that the client could not reach. They are selected only if no other node can take it. */
	readonly avoid?: readonly string[];
	/** An id of the client for its connection, the same when it reconnects, for the affinity `connection`. */
	readonly connection?: string;
}

/** Which node the clients of a user, or of a connection id, belong to. Texts have at most 256 characters. */
export interface Session {
	/** At most 255 bytes. */
	readonly user?: string;
	readonly connection?: string;
	/** Id of the node that gets the session. Default: the node that has it, or else the one that `selectStrategy` chooses. */
	readonly node?: string;
	/** Address of the client. */
	readonly address?: string;
	/** Nodes of this region come first. */
	readonly region?: string;
	/** Kept with the session; at most 4 KiB as JSON. */
	readonly metadata?: unknown;
}

export interface PublishTarget {
	/** Sends to the clients of this channel. Without `channel` and `channels`: to all clients. */
	readonly channel?: string;
	/** Sends to the clients of any of these channels, once to each. Must not be empty. */
	readonly channels?: readonly string[];
	/** Visible to subscribers of the Centrifuge protocol and to their tag filters. */
	readonly tags?: Readonly<Record<string, string>>;
	/**
	 * A second message with the same key to the same channel within five minutes is not published: its result has the position of the first one,
	 * and `duplicate`. Requires exactly one channel.
	 */
	readonly idempotencyKey?: string;
	/** Subscribers that take deltas may get the difference to the previous publication. */
	readonly delta?: boolean;
	/** High: the message does not wait behind others. It keeps its place in a channel with history, and has no effect through Kafka. */
	readonly priority?: "normal" | "high";
	/** The trace that the message belongs to, as in the header of W3C Trace Context. Has no effect without `otlpEndpoint`. */
	readonly traceparent?: string;
	/** Of the same trace. */
	readonly tracestate?: string;
}

export interface ServerEvents {
	open: [connection: Connection];
	/** For a connection that opened while there was a listener for `open` or `close`. */
	close: [connection: Connection, code: number];
	/** Another node was found; requires `redisAddress`. Emitted once for each node, also for those that were there before. */
	nodeJoined: [node: ClusterNode];
	/** A node has left: its heartbeats stopped ("timeout"), it was "stopped", or another process has replaced it ("replaced"). */
	nodeLeft: [node: ClusterNode, reason: "timeout" | "stopped" | "replaced"];
	/**
	 * A node is missing: the cluster has been above `scaleUpAt` for `scaleHoldMs`. Announced once per cluster, and emitted on the node that announces it
	 * only; requires `redisAddress`.
	 */
	scaleUp: [event: ScaleEvent];
	/** A node is too many; otherwise like `scaleUp`. */
	scaleDown: [event: ScaleEvent];
	/** A failover of this node was ordered; the server shuts down. Requires `redisAddress`. */
	failover: [strategy: Failover];
	/** Something other than the load of a node has changed, for example its status. */
	nodeUpdated: [node: ClusterNode];
}

const optionKeys = Object.keys({
	middleware: true,
	middlewareTimeoutMs: true,
	log: true,
	statusLine: true,
	metricSink: true,
} satisfies Record<keyof ServerOptions, true>);
const aMiddleware = "a middleware";
const endedByThen = "the server has been shut down";
const listenerErrorEveryMs = 1000;
const statusErrorEveryMs = 60_000;
const failedToStart = "the server could not start; create another one";
/** The sink always gets this many milliseconds for the last values, even when the shutdown has used all of its time. */
const lastNumbersMsMin = 1000;

/**
 * One shard in the application's process: the same code as in a cluster, without supervisor, balancer and fork. A process may run several
 * servers. It handles no signals; the application does.
 *
 * Must be used on one thread. Events: `open` and `close` of connections; `nodeJoined`, `nodeLeft` and `nodeUpdated` of other nodes. A listener
 * that throws, or whose promise rejects, is logged.
 */
export class Server extends EventEmitter<ServerEvents> {
	readonly control: Control;
	/** Operations on the connections of a user. */
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
	/** `run` has rejected. */
	#hasFailed = false;

	constructor(config: Config, options: ServerOptions) {
		super({ captureRejections: true });
		this.#config = config;
		const { middleware: given = [], statusLine = (line) => console.log(line), metricSink } = options;
		if (!Array.isArray(given)) throw new TypeError(`middleware must be an array, and not ${describe(given)}`);
		for (const middleware of given) checkFunction(aMiddleware, middleware);
		if (statusLine !== false) checkFunction("statusLine, if it is not false,", statusLine);
		if (options.log !== undefined) checkLog(options.log);
		this.#log = options.log ?? createLog({ name: "shardcast", level: config.logLevel, format: config.logFormat });
		const { middlewareTimeoutMs } = options;
		if (middlewareTimeoutMs !== undefined) checkMs("middlewareTimeoutMs", middlewareTimeoutMs);
		if (metricSink !== undefined) checkSink(metricSink);
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
				scale: (event) => this.#tell(event.type, event),
			},
			failover: (strategy = this.#config.failover) => {
				this.#tell("failover", strategy);
				this.shutdown(undefined, strategy).catch((error: unknown) => this.#log.error({ error }, "could not shut down in order"));
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
		for (const middleware of given) this.use(middleware);
	}

	/** The current options. */
	get config(): Config {
		return this.#config;
	}

	/** The port; 0 = not listening. */
	get port(): number {
		return this.#host.shard.port;
	}

	/** For example "ws://127.0.0.1:9002", or "wss://…" with TLS. */
	get url(): string {
		return `${usesTls(this.#config) ? "wss" : "ws"}://${urlHost({ ...parseAddress(this.#config.addr), port: this.port })}`;
	}

	/** Reads all options again from their sources, as `shardcast single` does on SIGHUP. */
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

	/** The nodes that this one knows, itself included; null without Redis. */
	nodes(): ClusterNodes | null {
		return this.#host.nodes();
	}

	/**
	 * Selects a node for a client: that of its session (`affinity`), or by the options `selectStrategy` and `selectRegion`. Counts the client for that node
	 * until the node's next heartbeat. Costs some microseconds, and with a session a command to Redis.
	 * @param clientIp the client's address, for `ip_hash`.
	 * @param userId for `user_hash` and the affinity `user`; without it the address counts.
	 * @throws TypeError or RangeError for a wrong argument. Rejects without Redis, and when no node can take a client; the message says why.
	 */
	selectNode(clientIp: string, userId = "", options: SelectNodeOptions = {}): Promise<ClusterNode> {
		return this.#host.selectNode(selectionOf(clientIp, userId, options));
	}

	/**
	 * How clients should move between nodes, by the figures of the last heartbeats. Changes nothing; costs some microseconds.
	 * @throws Error without Redis; RangeError for a wrong tolerance.
	 */
	rebalanceRecommendation(options: RebalanceOptions = {}): RebalancePlan {
		return this.#host.rebalanceRecommendation(checkedRebalance(options));
	}

	/**
	 * Makes the nodes with too many clients ask them to connect again, at most `rebalanceRate` per second each. Resolves when all of these nodes have begun.
	 * Rejects without Redis, and when a node may not have begun; calling it again does no harm.
	 * @throws RangeError for a wrong tolerance.
	 */
	rebalance(options: RebalanceOptions = {}): Promise<Rebalance> {
		return this.#host.rebalance(checkedRebalance(options));
	}

	/**
	 * Makes a node stop, as a signal does; its clients connect to others. Resolves when the node has the order.
	 * @param strategy default: that of the node's own options.
	 * @throws Error without Redis, for an unknown node, and when no other node takes clients; rejects when the node may not have the order. TypeError for
	 * an unknown strategy.
	 */
	failover(node: string, strategy?: Failover): Promise<void> {
		return this.#host.failover({ node, ...(strategy !== undefined && { strategy: checkedFailover(strategy) }) });
	}

	/**
	 * Assigns the clients of a user, or of a connection id, to a node, or finds the node that they have. With both, the session of the user decides.
	 * @returns the node, and the outcome: "kept", "moved" = the node that had it cannot take clients, "new"; "full" and "unavailable" = it is not remembered.
	 * @throws TypeError or RangeError for a wrong argument. Rejects without Redis, for an unknown node, and when no node can take a client.
	 */
	assignSession(session: Session): Promise<{ readonly node: ClusterNode; readonly outcome: SessionOutcome }> {
		return this.#host.assignSession(assignmentOf(session));
	}

	/** Adds a handler inside the existing ones, for all messages from now on. */
	use(middleware: Middleware): this {
		checkFunction(aMiddleware, middleware);
		this.#host.shard.use(middleware);
		return this;
	}

	/**
	 * Sets the handler for calls (`rpc`) of clients of the Centrifuge protocol. Later commands of the client wait for the answer, at most
	 * `middlewareTimeoutMs`. Without any handler, calls get error 108; if there are only others, 104.
	 * @throws Error when the method already has a handler.
	 */
	onRpc(method: string, handler: RpcHandler): this {
		checkFunction("the handler of onRpc", handler);
		this.#host.shard.clientHandlers.onRpc(method, handler);
		return this;
	}

	/**
	 * Sets the handler for messages (`send`) of clients of the Centrifuge protocol, which get no answer. Later commands of the client wait for
	 * it. Without a handler, such a client is closed with 3508.
	 * @throws Error when there already is a handler.
	 */
	onMessage(handler: ClientMessageHandler): this {
		checkFunction("the handler of onMessage", handler);
		this.#host.shard.clientHandlers.onMessage(handler);
		return this;
	}

	/**
	 * Starts the server. May be called once. Resolves when it serves.
	 * @throws StartupError when it cannot listen, for example because the port is in use.
	 */
	run(handler?: MessageHandler): Promise<void> {
		if (this.#ended !== null) throw new Error(`${endedByThen}; create another one`);
		if (this.#hasFailed) throw new Error(failedToStart);
		if (this.#running !== null) throw new Error("the server is already running");
		if (handler !== undefined) {
			checkFunction("the handler of run", handler);
			this.#host.shard.onMessage(handler);
		}
		this.#running = this.#start();
		return this.#running;
	}

	/**
	 * Sends a message to clients: text as a text frame, bytes as a binary frame. It passes through the handlers like any other message. The
	 * bytes may be reused at once.
	 * @returns the result. The promise never rejects; with Kafka it settles within about 15 s. Without Kafka and asynchronous handlers, the
	 * message has been published when this returns.
	 * @throws RangeError when the message is longer than `maxPayloadBytes`, for an invalid channel name, or for an empty list of channels;
	 * TypeError for an unknown key or a wrong type; Error before `run` and after `shutdown`.
	 */
	publish(message: string | Uint8Array, target: PublishTarget = {}): Promise<PublishResult> {
		const names = channelsOf(target);
		const details = detailsOf(target);
		const payload = bytesOf(message);
		this.#checkSendable(payload);
		const kind = typeof message === "string" ? RecordKind.text : RecordKind.binary;
		return Promise.resolve(this.#host.shard.publish(kind, channelList(names), payload, details, traceOf(target)));
	}

	/**
	 * Sends a message to all clients of all nodes, each once: raw clients get it as a text frame, clients of the Centrifuge protocol as a message
	 * outside of channels. It passes through no middleware, and never through Kafka.
	 * @returns "accepted", or "full": there is no room for it now. The message is on its way when this returns.
	 * @throws TypeError or RangeError for an invalid message; Error before `run` and after `shutdown`.
	 */
	broadcast(message: Message): Promise<PublishResult> {
		return this.#send(null, messageOf("broadcast", message));
	}

	/** Like `broadcast`, to all connections of a user. A user without connections is no error. @param user at most 255 bytes. */
	broadcastToUser(user: string, message: Message): Promise<PublishResult> {
		return this.#send(userOf(user), messageOf("broadcastToUser", message));
	}

	/** Publishes a message to a room, which is a channel: like `publish`, with `channel`. */
	broadcastToRoom(room: string, message: Message): Promise<PublishResult> {
		const { payload, urgent } = messageOf("broadcastToRoom", message);
		const names = channelsOf({ channel: room });
		this.#checkSendable(payload);
		const details = urgent ? { urgent } : undefined;
		return Promise.resolve(this.#host.shard.publish(RecordKind.text, channelList(names), payload, details));
	}

	/**
	 * Drains and stops: refuses new work, finishes accepted work, then closes the clients. Further calls wait for the same end. With
	 * `drainDelayMs`, the server first continues to serve for that time while /ready answers 503.
	 * @param timeoutMs after which the rest is cut off; default `shutdownTimeoutMs`.
	 * @param strategy default `failover`. With "immediate", the clients are closed first, all at once; with "delayed", the server continues to serve for
	 * `drainDelayMs`, or 5 s.
	 * @returns the number of messages and clients that were cut off.
	 * @throws TypeError for an unknown strategy, RangeError for an invalid time.
	 */
	shutdown(timeoutMs = this.#config.shutdownTimeoutMs, strategy = this.#config.failover): Promise<number> {
		checkMs("timeoutMs", timeoutMs, 0);
		this.#ended ??= this.#stop(timeoutMs, checkedFailover(strategy));
		return this.#ended;
	}

	#send(user: string | null, message: ReturnType<typeof messageOf>): Promise<PublishResult> {
		this.#checkSendable(message.payload);
		return Promise.resolve(this.#host.shard.direct(user, message));
	}

	#checkSendable({ length }: Uint8Array): void {
		if (this.#ended !== null) throw new Error(endedByThen);
		if (this.#running === null) throw new Error("the server is not running yet; await run() first");
		if (this.#hasFailed) throw new Error(failedToStart);
		const { maxPayloadBytes } = this.#config;
		if (length > maxPayloadBytes) throw new RangeError(`the message is ${length} bytes; the most is ${maxPayloadBytes}`);
	}

	async #start(): Promise<void> {
		try {
			await this.#host.start();
		} catch (error) {
			this.#hasFailed = true;
			throw error;
		}
		this.#certificateWatch.start();
		this.#statusLine?.start();
		this.#sinkFeed?.start();
	}

	async #stop(timeoutMs: number, strategy: Failover): Promise<number> {
		const started = await this.#running?.then(
			() => true,
			() => false,
		);
		this.#certificateWatch.stop();
		if (started === undefined) await this.#host.close();
		if (started !== true) return 0;
		this.#statusLine?.stop();
		const drainDelayMs = stopDelayMs(strategy, this.#config.drainDelayMs);
		const deadline = new Deadline(drainDelayMs + timeoutMs);
		const cutOff = await this.#host.stop(drainDelayMs, timeoutMs, strategy === "immediate");
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
		// First, because these may fail.
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

	/** Called by EventEmitter when the promise of a listener rejects; without it, the rejection would end the process. */
	override [captureRejectionSymbol](error: unknown, ...[event]: readonly unknown[]): void {
		this.#listenerFailed(error, String(event));
	}

	#listenerFailed(error: unknown, event: string): void {
		this.#listenerErrors.offer((leftOut) => this.#log.warn({ error, leftOut }, `a listener for "${event}" failed`));
	}
}

/**
 * Creates a server in this process, which is not started yet.
 * @param config options that differ from `defaultConfig()`, or all of them.
 * @throws ConfigError with a line for each invalid option; TypeError for an unknown option, or one of a wrong type.
 */
export function createServer(config: Partial<Config> = {}, options: ServerOptions = {}): Server {
	checkKeys("createServer", "its options", options, optionKeys);
	if (typeof config !== "object" || config === null || Array.isArray(config))
		throw new TypeError(`createServer takes the configuration as an object, such as { addr: ":9002" }, and not ${describe(config)}`);
	return new Server(checkedConfig(config), options);
}
