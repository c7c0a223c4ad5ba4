import { hostname } from "node:os";
import type { MessageDetails } from "@shardcast/bus";
import type { Certificate, Config } from "@shardcast/config";
import type { ClusterNode } from "@shardcast/control";
import type { NodeSelection } from "@shardcast/http";
import { openFiles } from "@shardcast/process";
import { ShardState } from "@shardcast/scoreboard";
import type { TraceContext } from "@shardcast/telemetry";
import type { ChannelList, Publishing, PublishResult, RecordKind } from "@shardcast/wire";
import { Console } from "../console/console.ts";
import { Delivery } from "../delivery/delivery.ts";
import { DeliveryWatch } from "../delivery/delivery-watch.ts";
import { Inbound } from "../delivery/incoming/inbound.ts";
import type { MessageHandler, Middleware } from "../delivery/incoming/middleware.ts";
import { DurableChannels } from "../durable/durable-channels.ts";
import { outboxFeature } from "../postgres/outbox-feature.ts";
import type { ClientHandlers } from "../sessions/centrifuge/client-handlers.ts";
import { Tracing } from "../tracing/tracing.ts";
import { Listener } from "../transports/websocket/listener.ts";
import { ShardApis } from "./assembly/shard-apis.ts";
import { ShardChannels } from "./assembly/shard-channels.ts";
import { ShardClients } from "./assembly/shard-clients.ts";
import { ShardEndpoints } from "./assembly/shard-endpoints.ts";
import type { Commit, Feature } from "./feature.ts";
import { Features } from "./features.ts";
import { kafkaFeature } from "./kafka-feature.ts";
import { limitByFiles } from "./limit-by-files.ts";
import { LiveConfig } from "./live-config.ts";
import { ShardHeartbeat } from "./shard-heartbeat.ts";
import type { ShardOptions } from "./shard-options.ts";

/** The program itself, which has no address. */
const ownProgram = { address: "" };

/**
 * A shard: its clients, their channels, its end of the bus, and the flushes between them. It is independent of its process and of what the bus connects;
 * a process can have several. This file only assembles the features.
 */
export class Shard {
	readonly #options: ShardOptions;
	readonly #live: LiveConfig;
	/** Handlers of the commands rpc and send. */
	readonly clientHandlers: Pick<ClientHandlers, "onRpc" | "onMessage">;
	/** Selects nodes for clients. */
	readonly selection: NodeSelection<ClusterNode>;
	readonly #inbound: Inbound;
	readonly #clients: ShardClients;
	readonly #listener: Listener;
	readonly #delivery: Delivery;
	readonly #features: Features;
	readonly #hasStore: boolean;
	#openAtStart = 0;

	constructor(options: ShardOptions) {
		const { config, row, bus, board, ingest, sample } = options;
		const live = new LiveConfig(config);
		const onCommit = () => delivery.engine.committed();
		const hurry = () => delivery.engine.hurry();
		const onUrgent = () => {
			board.countUrgentRecord();
			hurry();
		};
		const clients = new ShardClients({ options, live, delivered: () => this.#delivered(), openAtStart: () => this.#openAtStart });
		const channels = new ShardChannels({ options, live, onCommit, onUrgent, subscribers: () => endpoints });
		const { history, reader, durable, redis } = channels;
		const tracing = Tracing.create({ config, live, log: options.log, instance: `${hostname()}/${bus.member}` });
		const publishTracing = tracing && { tracer: tracing.tracer, isTagged: () => live.config.traceTags && ingest?.publisher == null };
		const inbound = new Inbound({ options, live, history, durable, redis, tracing: publishTracing, onCommit, hurry, onUrgent });
		const { incoming } = inbound;
		const endpoints = new ShardEndpoints({ options, live, clients, channels, incoming, tracer: tracing?.tracer ?? null, onCommit });
		const { hub, senders, raw, centrifuge } = endpoints;
		const { check } = clients;
		const { pacing, sessions, lanes, unread, running } = clients.clients;
		const apis = new ShardApis({ options, live, channels, incoming, tracing: publishTracing });
		const console = new Console({ options, live, hub, check, channels: centrifuge.subscribers, history });
		const served = [raw, centrifuge, apis.publish, apis.server, console, apis.cluster];
		const listener = new Listener({ options, live, check, rules: live, served });
		const watch = new DeliveryWatch({
			member: bus.member,
			tracer: tracing?.tracer ?? null,
			slowMs: () => live.config.slowMessageMs,
			log: options.log,
			slowClients: () => lanes.count,
		});
		const delivery = new Delivery({
			...{ options, live, hub, senders, pacing, watch },
			logged: reader,
			topics: listener.sockets,
			console: console.feed,
			onClientFrames: (payload) => centrifuge.emulation.arrived(payload),
			direct: (user, payload) => endpoints.direct.deliver(user, payload),
			onChannelRecord: redis?.onRecord,
			onGaps: (channels) => endpoints.endSubscriptions(channels),
			held: () => inbound.held,
			beforeTurn: () => {
				sessions.closeSlow();
				lanes.beforeTurn();
				unread.beforeTurn();
				listener.intake?.take();
				inbound.retry();
				centrifuge.subscribers.followDeltas();
			},
		});
		const heartbeat = new ShardHeartbeat({
			...{ counters: row, bus, sample },
			onOverslept: () => delivery.engine.wake(),
			onBeat: running.nowMs,
			onSecond: () => this.#features.everySecond(),
		});
		this.#options = options;
		this.#live = live;
		this.#clients = clients;
		this.#inbound = inbound;
		this.#listener = listener;
		this.#delivery = delivery;
		this.#hasStore = durable !== null;
		this.clientHandlers = centrifuge.set.handlers;
		this.selection = apis.selection;
		// Drained in this order: refuse new work, finish accepted work, close the clients. Stopped in reverse order, so that the supervisor sees the
		// heartbeat until the end.
		const features: readonly (Feature | null)[] = [
			heartbeat,
			{ name: "bus", stop: () => bus.close() },
			...channels.features,
			apis.fromRedis,
			check,
			apis.publish,
			apis.server,
			apis.cluster,
			outboxFeature({ options, incoming, payloadBytesMax: config.maxPayloadBytes }),
			listener,
			inbound,
			ingest && kafkaFeature({ ingest, loop: delivery.engine, onUrgent, history: channels.forKafka, ask: options.ask, live, tracing }),
			delivery,
			console,
			clients.events,
			raw,
			centrifuge,
			clients.clients,
			tracing,
		];
		this.#features = new Features(
			features.filter((feature) => feature !== null),
			options,
		);
	}

	/** The current options. */
	get config(): Config {
		return this.#live.config;
	}

	/** The port; 0 = not listening. */
	get port(): number {
		return this.#listener.port;
	}

	/** Adds middleware for later messages. */
	use(middleware: Middleware): void {
		this.#inbound.handlers.use(middleware);
	}

	/** Sets the function that gets each message that passes all handlers. */
	onMessage(handler: MessageHandler): void {
		this.#inbound.handlers.setLast(handler);
	}

	/** Publishes a message of the program that runs this shard. It passes through the handlers like any other. @param parent its trace; null = none. */
	publish(
		kind: RecordKind,
		channels: ChannelList,
		payload: Uint8Array,
		details?: MessageDetails,
		parent: TraceContext | null = null,
	): Publishing {
		return this.#inbound.incoming.publish(kind, channels, payload, ownProgram, "host", details, parent);
	}

	/** Sends a message of the program that runs this shard to the connections of a user, or to all clients (null). */
	direct(user: string | null, message: { readonly payload: Uint8Array; readonly urgent: boolean }): PublishResult {
		return this.#inbound.incoming.direct({ ...message, user, nodeOnly: false });
	}

	/**
	 * Prepares for new values of the live options; the others keep their values.
	 * @returns a function that applies them.
	 * @throws when a part of the shard cannot use them, for example without a free descriptor. Then nothing has changed.
	 */
	prepare(config: Config): Commit {
		if (DurableChannels.isUsed(config) && !this.#hasStore)
			throw new Error("durable: this server runs without a durable store; restart it to use one");
		const live = this.#live.prepare(config);
		const features = this.#features.reload(config);
		return () => {
			live();
			features();
		};
	}

	/** Prepares and commits. @throws like `prepare`. */
	reload(config: Config): void {
		this.prepare(config)();
	}

	/** Sets the certificates for new connections. @throws Error when one cannot be used. Then nothing has changed. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.#listener.useCertificates(certificates);
	}

	async #delivered(): Promise<void> {
		await this.#inbound.handlers.whenNone();
		await this.#delivery.engine.whenEmpty();
	}

	async start(): Promise<void> {
		const { row } = this.#options;
		row.state = ShardState.starting;
		this.#openAtStart = openFiles() ?? 0;
		limitByFiles(this.#options);
		await this.#features.start();
		row.state = row.isDrained ? ShardState.draining : ShardState.serving;
		this.#features.serving();
	}

	/**
	 * Refuses new work, finishes accepted work, and closes the clients; with `immediate`, it closes the clients first, all at once. Resolves with the
	 * number of items cut off: messages that found no room, publishes whose body had not arrived, clients that did not read their last messages.
	 */
	async drain(deadlineMs: number, immediate = false): Promise<number> {
		this.#options.row.state = ShardState.draining;
		if (immediate) {
			this.#clients.check.drain();
			await this.#clients.clients.closeNow();
		}
		const cutOff = await this.#features.drain(deadlineMs);
		this.#options.log.debug({ cutOff }, "drained");
		return Object.values(cutOff).reduce((sum, count) => sum + count, 0);
	}

	async stop(): Promise<void> {
		this.#clients.check.drain();
		await this.#features.stop();
	}
}
