import { isDeepStrictEqual } from "node:util";
import type { ChannelLog, LogReader } from "@shardcast/channel-log";
import { type Namespaces, personalChannelOf } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import {
	type Ask,
	disconnectQuestion,
	type PartAnswers,
	presenceQuestion,
	presenceStatsQuestion,
	subscribeQuestion,
	unsubscribeQuestion,
} from "@shardcast/control";
import type { Route } from "@shardcast/http";
import type { KafkaHistory } from "@shardcast/kafka";
import { RateLimit } from "@shardcast/limits";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import { BoundedLines, type Log } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import { defaultHandlerDeadlineMs } from "../../delivery/incoming/inbound.ts";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { AnnouncementType } from "../../delivery/publishing/publisher.ts";
import type { DurableChannels } from "../../durable/durable-channels.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Commit, Feature } from "../../lifecycle/feature.ts";
import { version } from "../../lifecycle/version.ts";
import type { Admitted, ConnectionCheck } from "../../limits/connection-check.ts";
import type { TopicTransport } from "../../transports/transport.ts";
import type { UpgradeRequest } from "../../transports/upgrade-request.ts";
import type { ClientSession } from "../client-session.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { SessionFactory, TransportLimits } from "../session.ts";
import type { Sessions } from "../sessions.ts";
import { ChannelAudiences } from "./audience/channel-audiences.ts";
import type { DeltaEncoder } from "./audience/delta-encoder.ts";
import { JoinAudiences } from "./audience/join-audiences.ts";
import { PatternAudiences } from "./audience/pattern-audiences.ts";
import { CentrifugeSession } from "./centrifuge-session.ts";
import { ClientHandlers } from "./client-handlers.ts";
import { ChannelCommands } from "./commands/channel-commands.ts";
import { Commands } from "./commands/commands.ts";
import { ConnectCommands } from "./commands/connect-commands.ts";
import { KafkaRecovery } from "./commands/kafka-recovery.ts";
import { PresenceCommands } from "./commands/presence-commands.ts";
import { Recovery } from "./commands/recovery.ts";
import { ServerSubscriptions } from "./commands/server-subscriptions.ts";
import { SubscribeCommands } from "./commands/subscribe-commands.ts";
import { SubscribeResults } from "./commands/subscribe-results.ts";
import { UniConnects } from "./commands/uni-connects.ts";
import { Consumers } from "./durable/consumers.ts";
import type { Framing } from "./framing.ts";
import { Emulation, type EmulationParts } from "./http/emulation.ts";
import { emulationRoute } from "./http/emulation-route.ts";
import { type StreamRoutesParts, streamRoutes } from "./http/stream-routes.ts";
import { Presence } from "./presence.ts";
import { Heartbeats } from "./timing/heartbeats.ts";
import { connectionTokenRules, subscriptionTokenRules, type TokenRules, TokenVerifier } from "./tokens/token-verifier.ts";
import { UniSession } from "./uni-session.ts";
import { Users } from "./users.ts";
import { webSocketRequest } from "./web-socket-request.ts";

export interface CentrifugeEndpointParts {
	readonly options: {
		readonly config: Config;
		readonly row: Pick<Counters, "add" | "set"> & EmulationParts["row"];
		readonly board: EmulationParts["board"];
		readonly bus: EmulationParts["bus"];
		readonly log: Pick<Log, "error" | "warn">;
		readonly ask: Ask;
		/** How long a handler may take; see `defaultHandlerDeadlineMs`. */
		readonly handlerDeadlineMs?: number;
		/** See `CommandsParts`. */
		readonly commandTurnMs?: number;
	};
	/** Read at each use. */
	readonly live: { readonly config: Config; readonly namespaces: Namespaces };
	readonly sessions: Sessions;
	readonly hub: Hub;
	/** Of all clients. */
	readonly senders: SenderIds<ClientSession>;
	readonly incoming: Pick<Incoming, "fromClient" | "announce">;
	readonly check: Pick<ConnectionCheck, "judge" | "admit"> & StreamRoutesParts["check"];
	/** The channel logs, and this shard's reader. */
	readonly history: ChannelLog;
	readonly reader: LogReader;
	/** Absent = no channel is durable. */
	readonly durable?: DurableChannels | null;
	/** Called after each record that is in the ring. */
	readonly onCommit: () => void;
	/** What only Kafka still has; null = it is not used, or not read for clients. */
	readonly kafka: KafkaHistory | null;
	/** Monotonic, in seconds; replaced in tests. */
	readonly now?: () => number;
}

/**
 * The WebSocket library drops the connection when a frame is longer than this. A shorter frame that is still too long is read, so that the
 * client gets close code 1009.
 */
const cutBytes = 1024 * 1024;

type Connected = ReturnType<SessionFactory<TopicTransport>["connect"]>;

/** The Centrifuge client protocol over WebSocket, and over HTTP alone, for the existing client libraries. */
export class CentrifugeEndpoint implements SessionFactory<TopicTransport>, Feature {
	readonly name = "centrifuge";
	readonly endpoints: readonly SessionFactory<TopicTransport>[];
	readonly paths = ["/connection/websocket"];
	readonly routes: readonly Route[];
	readonly sessions: Sessions;
	readonly hub: Hub;
	/** Of all clients. */
	readonly senders: SenderIds<ClientSession>;
	readonly audiences = new ChannelAudiences();
	readonly patterns: PatternAudiences;
	readonly joins = new JoinAudiences();
	readonly presence = new Presence();
	/** For the console. */
	readonly listing = {
		list: (search: string, most: number) => this.audiences.list(search, most),
		present: (channel: string) => this.presence.count(channel),
	};
	readonly commands: Commands;
	readonly heartbeats: Heartbeats;
	readonly uniConnects: UniConnects;
	readonly emulation: Emulation;
	/** Enforces `--message-rate` for each client. */
	readonly rate: RateLimit<CentrifugeSession>;
	readonly users: Users;
	/** Those of the program that runs the server. */
	readonly handlers: ClientHandlers;
	readonly #parts: CentrifugeEndpointParts;
	/** As of the last reload. */
	#namespaces: Namespaces;
	readonly #presenceCommands: PresenceCommands;
	readonly #keyErrors = new BoundedLines(10_000);
	readonly #invalidTokens = new BoundedLines(10_000);
	#isStopped = false;
	readonly #fromKafka: KafkaRecovery;
	readonly #consumers: Consumers;
	#tokens: TokenVerifier;
	#subscriptionTokens: TokenVerifier;

	constructor(parts: CentrifugeEndpointParts) {
		const { options, live, sessions, hub, incoming } = parts;
		const { config, row, log } = options;
		this.#parts = parts;
		this.sessions = sessions;
		this.hub = hub;
		this.senders = parts.senders;
		this.#namespaces = live.namespaces;
		hub.add(this.audiences);
		this.patterns = new PatternAudiences((name) => live.namespaces.segments(name));
		hub.add(this.patterns);
		hub.addForJoins(this.joins);
		this.#tokens = this.#verifier(connectionTokenRules(config));
		this.#subscriptionTokens = this.#verifier(subscriptionTokenRules(config));
		this.rate = new RateLimit(config.messageRate, row.connectionsMax);
		const unixTime = () => Date.now() / 1000;
		this.heartbeats = new Heartbeats({
			get times() {
				return live.config;
			},
			now: parts.now ?? (() => monotonicMs() / 1000),
			unixTime,
			random: Math.random,
		});
		const recovery = new Recovery({
			log: parts.durable ?? parts.history,
			reader: parts.reader,
			publicationsMax: () => live.config.recoveryLimitMax,
		});
		const results = new SubscribeResults({ recovery, counters: row });
		this.#fromKafka = new KafkaRecovery(parts.kafka, config.kafkaRecoveryMemoryBytes);
		const rules = {
			get insecure() {
				return live.config.clientInsecure;
			},
			get channelLimit() {
				return live.config.channelLimit;
			},
			personalChannel: (user: string) => personalChannelOf(live.config, user),
		};
		const subscriptions = new ServerSubscriptions({ namespaces: () => live.namespaces, rules, results });
		const failed = (error: unknown): void => {
			row.add("callbackErrors", 1);
			log.error({ error }, "a client's command failed because of a defect in this shard; its connection was closed");
		};
		const { board, bus } = options;
		this.emulation = new Emulation({ board, bus, row, onCommit: parts.onCommit, failed, nowMs: () => performance.now() });
		this.routes = [
			...streamRoutes({
				check: parts.check,
				session: (admitted, framing) => this.#session(admitted, framing),
				bufferedBytesMax: () => live.config.maxBufferedBytes,
			}),
			emulationRoute(this.emulation),
		];
		const connect = new ConnectCommands({
			config: () => live.config,
			tokens: () => this.#tokens,
			subscriptions,
			heartbeats: this.heartbeats,
			onlyOne: (session) => this.#closeOthers(session),
			version,
			node: String(this.emulation.life),
			unixTime,
		});
		this.users = new Users({
			sessions,
			subscriptions,
			namespaces: () => live.namespaces,
			channelLimit: () => live.config.channelLimit,
		});
		const subscribing = new SubscribeCommands({
			namespaces: () => live.namespaces,
			rules,
			tokens: () => this.#subscriptionTokens,
			results,
			fromKafka: this.#fromKafka,
			consumers: () => this.#consumers,
			unixTime,
		});
		const channels = new ChannelCommands({
			incoming,
			get namespaces() {
				return live.namespaces;
			},
			rules: {
				get insecure() {
					return live.config.clientInsecure;
				},
				get historyLimit() {
					return live.config.historyLimitMax;
				},
				get clientsMayPublish() {
					return live.config.clientPublish !== "off";
				},
				payloadBytesMax: config.maxPayloadBytes,
			},
			log: parts.durable ?? parts.history,
			underRate: (session) => this.#underRate(session),
		});
		this.#presenceCommands = new PresenceCommands({
			namespaces: () => live.namespaces,
			insecure: () => live.config.clientInsecure,
			ask: options.ask,
		});
		this.endpoints = [
			this,
			{ paths: ["/connection/uni_websocket"], limits: () => this.limits(), connect: (request) => this.#connect(request, true) },
		];
		this.uniConnects = new UniConnects({ connect: connect.connect, counters: row, failed });
		this.handlers = new ClientHandlers({
			counters: row,
			deadlineMs: options.handlerDeadlineMs ?? defaultHandlerDeadlineMs,
			underRate: (session) => this.#underRate(session),
			onError: (error) => log.error({ error }, "a handler of a client's command failed; the client gets error 100"),
		});
		this.#consumers = new Consumers({
			durable: parts.durable ?? null,
			reader: parts.reader,
			counters: row,
			config: () => live.config,
			nowMs: () => (parts.now ?? (() => monotonicMs() / 1000))() * 1000,
			rpc: this.handlers.rpc,
		});
		this.commands = new Commands({
			counters: row,
			handlers: {
				connect: connect.connect,
				refresh: connect.refresh,
				subscribe: subscribing.subscribe,
				unsubscribe: subscribing.unsubscribe,
				publish: channels.publish,
				presence: this.#presenceCommands.presence,
				presenceStats: this.#presenceCommands.presenceStats,
				history: channels.history,
				rpc: this.#consumers.rpc,
				send: this.handlers.send,
				subRefresh: subscribing.subRefresh,
			},
			pong: (session) => this.heartbeats.pong(session),
			failed,
			turnMs: options.commandTurnMs,
		});
	}

	limits(): TransportLimits {
		const { maxBufferedBytes, idleTimeoutMs } = this.#parts.live.config;
		return { frameBytesMax: cutBytes, bufferedBytesMax: maxBufferedBytes, idleTimeoutMs };
	}

	connect(request: UpgradeRequest): Connected {
		return this.#connect(request, false);
	}

	#connect(request: UpgradeRequest, isUni: boolean): Connected {
		const { check } = this.#parts;
		const refused = check.judge(request.head);
		if (refused !== null) return { refused };
		const admitted = check.admit(request);
		if ("refused" in admitted) return admitted;
		const { framing, framePings, subprotocol, first } = webSocketRequest(request.head, isUni);
		const session = isUni
			? new UniSession(this, admitted, framing, framePings, first)
			: new CentrifugeSession(this, admitted, framing, framePings);
		return { session, subprotocol };
	}

	answers(parts: PartAnswers): void {
		parts.add(presenceQuestion, ({ channel }) => this.presence.clients(channel));
		parts.add(presenceStatsQuestion, ({ channel }) => this.presence.part(channel));
		parts.add(subscribeQuestion, (request) => this.users.subscribe(request));
		parts.add(unsubscribeQuestion, (request) => this.users.unsubscribe(request));
		parts.add(disconnectQuestion, (request) => this.users.disconnect(request));
	}

	everySecond(): void {
		this.heartbeats.tick();
		this.#consumers.everySecond();
		this.#presenceCommands.sweep();
		const { row } = this.#parts.options;
		row.set("subscriptions", this.audiences.subscriptions + this.patterns.subscriptions);
		row.set("subscriptionsProtobuf", this.audiences.protobufSubscriptions);
	}

	/** Permissions change for later commands only; subscriptions that exist stay, except where the channel's namespace is gone. */
	reload(config: Config): Commit {
		const tokens = this.#verifier(connectionTokenRules(config), this.#tokens);
		const subscriptionTokens = this.#verifier(subscriptionTokenRules(config), this.#subscriptionTokens);
		return () => {
			this.#tokens = tokens;
			this.#subscriptionTokens = subscriptionTokens;
			this.rate.perSecond = config.messageRate;
			this.rate.clientsMax = this.#parts.options.row.connectionsMax;
			this.#endSubscriptionsOutside();
		};
	}

	readonly isPattern = (channel: string): boolean => this.#parts.live.namespaces.of(channel).isPattern;

	/** Before anything is delivered: whoever has got a whole publication since the last turn gets deltas from now on. */
	beforeTurn(): void {
		for (const { encoder } of this.audiences.takeReady())
			for (const [subscription, session] of (encoder as DeltaEncoder).waiting!) session.followDeltas(subscription);
	}

	/** The one that there is, with the keys that it has fetched, if nothing has changed. */
	#verifier(rules: TokenRules, present?: TokenVerifier): TokenVerifier {
		if (present !== undefined && isDeepStrictEqual(present.rules, rules)) return present;
		const { log } = this.#parts.options;
		return new TokenVerifier(rules, {
			unavailable: (error) =>
				this.#keyErrors.offer((leftOut) =>
					log.error({ error, leftOut }, `the keys of tokens could not be fetched from ${rules.jwksEndpoint}`),
				),
			invalid: (why) => this.#invalidTokens.offer((leftOut) => log.warn({ leftOut }, `a client's token is invalid: ${why}`)),
		});
	}

	/** Those to channels that cannot exist any more. */
	#endSubscriptionsOutside(): void {
		const { namespaces } = this.#parts.live;
		if (namespaces === this.#namespaces) return;
		this.#namespaces = namespaces;
		this.patterns.forgetNames();
		for (const session of this.sessions.snapshot()) if (session instanceof CentrifugeSession) session.endSubscriptionsOutside(namespaces);
	}

	/** Tells the subscribers of a channel, on all shards, that one of them has come or gone. */
	announce(type: AnnouncementType, channel: string, info: Uint8Array): void {
		if (!this.#isStopped) this.#parts.incoming.announce(type, channel, info);
	}

	/** The user's earlier connections, on any shard. */
	#closeOthers({ user, id: client, connectedAt: since }: CentrifugeSession): void {
		const { code, reason } = disconnects[DisconnectCode.connectionLimit];
		// A shard that does not answer has none any more, or is killed soon.
		this.#parts.options.ask(disconnectQuestion, { user, keep: { client, since }, code, reason }).catch(() => {});
	}

	stop(): void {
		// Connections that are cut from now on are not announced: the bus is closed soon.
		this.#isStopped = true;
		this.#fromKafka.stop();
		this.emulation.stop();
	}

	/** Of a client that connects by HTTP alone: what it sends, if anything, comes by other requests. */
	#session(admitted: Admitted, framing: Framing): CentrifugeSession {
		if (framing.isUni) return new UniSession(this, admitted, framing, false, null);
		const session = new CentrifugeSession(this, admitted, framing, false);
		session.sessionId = this.emulation.newId();
		return session;
	}

	#underRate(session: CentrifugeSession): boolean {
		if (this.rate.isOff || this.rate.take(session, performance.now())) return true;
		this.#parts.options.row.add("rateLimited", 1);
		return false;
	}
}
