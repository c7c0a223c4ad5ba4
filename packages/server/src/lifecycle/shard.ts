import type { MessageDetails } from "@shardcast/bus";
import type { Certificate, Config } from "@shardcast/config";
import { type ClusterNode, clusterNodesQuestion, metricsQuestion, selectionMetrics, sessionsQuestion } from "@shardcast/control";
import { clusterRoutes, consoleRoutes, NodeSelection, openAccess } from "@shardcast/http";
import { openFiles } from "@shardcast/process";
import { ShardState } from "@shardcast/scoreboard";
import { type ChannelList, incarnationId, monotonicMs, type Publishing, type PublishResult, type RecordKind } from "@shardcast/wire";
import { Console } from "../console/console.ts";
import { Delivery } from "../delivery/delivery.ts";
import { Inbound } from "../delivery/incoming/inbound.ts";
import type { MessageHandler, Middleware } from "../delivery/incoming/middleware.ts";
import { DurableChannels } from "../durable/durable-channels.ts";
import { ApiAccess } from "../http/api-access.ts";
import { nodesRoute } from "../http/nodes-route.ts";
import { PublishApi } from "../http/publish-api.ts";
import { ServerApi } from "../http/server-api.ts";
import { Hub } from "../hub/hub.ts";
import { ConnectionCheck } from "../limits/connection-check.ts";
import { PublishRate } from "../limits/publish-rate.ts";
import { failoverRoute } from "../nodes/failover-route.ts";
import { rebalanceRoutes } from "../nodes/rebalance-routes.ts";
import { outboxFeature } from "../postgres/outbox-feature.ts";
import { endSubscriptions } from "../redis/end-subscriptions.ts";
import { RedisChannels } from "../redis/redis-channels.ts";
import { RedisMessages } from "../redis/redis-messages.ts";
import { CentrifugeEndpoint } from "../sessions/centrifuge/centrifuge-endpoint.ts";
import type { ClientHandlers } from "../sessions/centrifuge/client-handlers.ts";
import type { ClientSession } from "../sessions/client-session.ts";
import { Clients } from "../sessions/clients.ts";
import { DirectMessages } from "../sessions/direct-messages.ts";
import { RawEndpoint } from "../sessions/raw/raw-endpoint.ts";
import { SenderIds } from "../sessions/sender-ids.ts";
import { Listener } from "../transports/websocket/listener.ts";
import { ClientEvents } from "../webhooks/client-events.ts";
import type { Commit, Feature } from "./feature.ts";
import { Features } from "./features.ts";
import { kafkaFeature } from "./kafka-feature.ts";
import { limitByFiles } from "./limit-by-files.ts";
import { LiveConfig } from "./live-config.ts";
import { ShardHeartbeat } from "./shard-heartbeat.ts";
import type { ShardOptions } from "./shard-options.ts";

/** Most bytes of a publication in Redis besides its payload: publisher and tags. */
const publicationOverheadBytes = 262_144;
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
	readonly #check: ConnectionCheck;
	readonly #clients: Clients;
	readonly #listener: Listener;
	readonly #features: Features;
	readonly #hasStore: boolean;
	#openAtStart = 0;

	constructor(options: ShardOptions) {
		const { config, row, bus, ingest, rates, board, ask } = options;
		const live = new LiveConfig(config);
		this.#options = options;
		this.#live = live;
		const check = new ConnectionCheck({ options, live, clients: () => clients.sessions.all });
		const events = new ClientEvents(
			{ config, open: options.openClientEvents, counters: options.row, log: options.log },
			() => clients.sessions.all,
		);
		const clients = new Clients({
			options,
			live,
			check,
			events,
			delivered: async () => {
				await inbound.handlers.whenNone();
				await delivery.engine.whenEmpty();
			},
			openAtStart: () => this.#openAtStart,
		});
		const onCommit = () => delivery.engine.committed();
		const hurry = () => delivery.engine.hurry();
		const onUrgent = () => {
			board.countUrgentRecord();
			hurry();
		};
		const history = options.openHistory(onCommit);
		const reader = history.reader(row.slot);
		const durable = DurableChannels.open({
			live,
			history,
			counters: row,
			life: incarnationId(bus.member, row.incarnation),
			log: options.log,
		});
		const redis =
			options.redis == null
				? null
				: new RedisChannels({
						...{ redis: options.redis, live, history, others: durable ?? history, board, row, bus, onCommit, onUrgent },
						isKafkas: ingest !== null,
						life: incarnationId(bus.member, row.incarnation),
						publicationBytesMax: config.maxPayloadBytes + publicationOverheadBytes,
						endSubscriptions: (channels) => endSubscriptions(sessions.all, channels),
						listeners: {
							want: (channel) => raw.channelSets.unfiltered.audience.clients > 0 || centrifuge.subscribers.patterns.reach(channel) > 0,
							version: () => raw.channelSets.unfilteredBegan + centrifuge.subscribers.patterns.audiencesMade,
						},
						subscribed: () => [...centrifuge.subscribers.audiences.names(), ...raw.channelSets.names()],
					});
		const inbound = new Inbound({
			options,
			live,
			history,
			durable,
			redis,
			onCommit,
			hurry,
			onUrgent,
		});
		const { incoming } = inbound;
		const { sessions } = clients;
		const hub = new Hub();
		const senders = new SenderIds<ClientSession>();
		const raw = new RawEndpoint({
			options,
			live,
			sessions,
			hub,
			senders,
			incoming,
			check,
			tokens: () => centrifuge.tokens.connection,
			revocations: () => centrifuge.revocations,
			members: {
				presence: () => centrifuge.subscribers.presence,
				announce: (type, channel, info) => centrifuge.announce(type, channel, info),
			},
			userLimit: () => centrifuge.userLimit,
		});
		const centrifuge = new CentrifugeEndpoint({
			options,
			live,
			sessions,
			hub,
			senders,
			incoming,
			check,
			history,
			reader,
			durable,
			...(redis !== null && { kept: redis }),
			kafka: ingest?.history ?? null,
			rawClients: raw.clientsOf,
			events,
			onCommit,
		});
		const access = new ApiAccess(live);
		const publishing = {
			incoming,
			rate: new PublishRate(rates, config.messageRate),
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			access,
			nowMs: monotonicMs,
		};
		const publish = new PublishApi(publishing);
		// With Kafka each node would publish the message once more.
		const fromRedis =
			redis === null || ingest?.publisher != null
				? null
				: new RedisMessages({
						...publishing,
						isShared: (channel) => redis.has(channel),
						bytesMax: publish.route.bodyBytesMax,
						log: options.log,
					});
		if (redis !== null) redis.takes = fromRedis?.take ?? null;
		this.selection = new NodeSelection({
			nodes: () => ask(clusterNodesQuestion, null),
			sessions: (requests) => ask(sessionsQuestion, requests),
			rules: () => live.config,
			nowMs: monotonicMs,
		});
		const serverApi = new ServerApi({
			...publishing,
			publishBytesMax: publish.route.bodyBytesMax,
			namespaces: () => live.namespaces,
			historyLimit: () => live.config.historyLimitMax,
			kept: redis ?? durable ?? history,
			log: history,
			ask,
			selection: this.selection,
		});
		const console = new Console({ options, live, hub, check, channels: centrifuge.subscribers, history });
		const nodes = nodesRoute({ ask, access });
		const rebalances = rebalanceRoutes({ ask, access, config: () => live.config });
		if (config.redisAddress !== undefined) options.metrics.addReading(selectionMetrics, () => this.selection.counts);
		const routes = clusterRoutes({ board, access: () => openAccess(live.config), metrics: () => ask(metricsQuestion, null) });
		// The balancer serves the console's page, unless it cannot read the request.
		const isBehindBalancer = options.handoff !== null || options.isProxy !== null;
		if (isBehindBalancer && options.certificates.length > 0)
			routes.push(...consoleRoutes(() => ({ token: live.config.consoleToken, authRequired: live.authRequired })));
		const listener = new Listener({
			options,
			live,
			check,
			rules: live,
			served: [
				raw,
				centrifuge,
				publish,
				serverApi,
				console,
				{ name: "cluster", routes: [...routes, nodes, ...rebalances, failoverRoute({ ask, access }), this.selection.route] },
			],
		});
		const direct = new DirectMessages({
			ofUser: (user) => [...centrifuge.connected.of(user), ...raw.clientsOf(user)],
			all: () => sessions.snapshot(),
		});
		const delivery = new Delivery({
			options,
			live,
			hub,
			logged: reader,
			senders,
			topics: listener.sockets,
			console: console.feed,
			asked: (payload) => centrifuge.emulation.arrived(payload),
			direct: (user, payload) => direct.deliver(user, payload),
			toldOfChannels: redis?.told,
			pacing: clients.pacing,
			held: () => inbound.held,
			beforeTurn: () => {
				clients.sessions.closeSlow();
				clients.lanes.beforeTurn();
				listener.intake?.take();
				inbound.retry();
				centrifuge.subscribers.followDeltas();
			},
		});
		const heartbeat = new ShardHeartbeat({
			counters: row,
			bus,
			onOverslept: () => delivery.engine.wake(),
			sample: options.sample,
			onSecond: () => this.#features.everySecond(),
		});
		if (redis !== null) {
			centrifuge.subscribers.audiences.watch = redis.wanted;
			raw.channelSets.watch = redis.wanted;
		}
		this.#hasStore = durable !== null;
		this.#inbound = inbound;
		this.clientHandlers = centrifuge.set.handlers;
		this.#check = check;
		this.#clients = clients;
		this.#listener = listener;
		const channelHistory = {
			log: history,
			isUsed: () => live.namespaces.keepHistory,
			limitsOf: (channel: string) => live.namespaces.of(channel).history,
		};
		const kafka = ingest === null ? [] : [kafkaFeature(ingest, delivery.engine, channelHistory)];
		const outbox = outboxFeature({ options, incoming, payloadBytesMax: config.maxPayloadBytes });
		const theBus: Feature = { name: "bus", stop: () => bus.close() };
		const logs: Feature = {
			name: "logs",
			stop: () => {
				reader.leave();
				history.close();
			},
		};
		// Drained in this order: refuse new work, finish accepted work, close the clients. Stopped in reverse order, so that the supervisor sees the
		// heartbeat until the end.
		this.#features = new Features(
			[
				heartbeat,
				theBus,
				logs,
				...(durable === null ? [] : [durable]),
				...(redis === null ? [] : [redis]),
				...(fromRedis === null ? [] : [fromRedis]),
				check,
				publish,
				serverApi,
				...(outbox === null ? [] : [outbox]),
				listener,
				inbound,
				...kafka,
				delivery,
				console,
				events,
				raw,
				centrifuge,
				clients,
			],
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

	/** Publishes a message of the program that runs this shard. It passes through the handlers like any other. */
	publish(kind: RecordKind, channels: ChannelList, payload: Uint8Array, details?: MessageDetails): Publishing {
		return this.#inbound.incoming.publish(kind, channels, payload, ownProgram, "host", details);
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
		const isDurable = [config.channelWithoutNamespace, ...config.channelNamespaces].some(({ durable }) => durable);
		if (isDurable && !this.#hasStore)
			throw new Error("durable: this server runs without a durable store; restart it to use channel.durable_store.path");
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

	async start(): Promise<void> {
		const { row } = this.#options;
		row.state = ShardState.starting;
		this.#openAtStart = openFiles() ?? 0;
		limitByFiles(this.#options);
		await this.#features.start();
		row.state = ShardState.serving;
		this.#features.serving();
	}

	/**
	 * Refuses new work, finishes accepted work, and closes the clients; with `immediate`, it closes the clients first, all at once. Resolves with the number of items cut off: messages that found no room, publishes
	 * whose body had not arrived, clients that did not read their last messages.
	 */
	async drain(deadlineMs: number, immediate = false): Promise<number> {
		this.#options.row.state = ShardState.draining;
		if (immediate) {
			this.#check.drain();
			await this.#clients.closeNow();
		}
		const cutOff = await this.#features.drain(deadlineMs);
		this.#options.log.debug({ cutOff }, "drained");
		return Object.values(cutOff).reduce((sum, count) => sum + count, 0);
	}

	async stop(): Promise<void> {
		this.#check.drain();
		await this.#features.stop();
	}
}
