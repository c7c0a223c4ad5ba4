import type { Namespaces } from "@shardcast/channels";
import { type Config, nodeIdOf } from "@shardcast/config";
import type { PartAnswers } from "@shardcast/control";
import type { Reply, Route, WebSocketPath } from "@shardcast/http";
import type { AddressTable, RateTable } from "@shardcast/limits";
import type { Counters } from "@shardcast/scoreboard";
import type { Log, ProcessMetrics, Tracer } from "@shardcast/telemetry";
import { monotonicMs } from "@shardcast/wire";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { AnnouncementType } from "../../delivery/publishing/publisher.ts";
import type { ClientHeaders } from "../../hooks/forwarded-headers.ts";
import { Hooks } from "../../hooks/hooks.ts";
import type { Hub } from "../../hub/hub.ts";
import type { Commit, Feature } from "../../lifecycle/feature.ts";
import { withinDeadline } from "../../lifecycle/within-deadline.ts";
import type { Admitted, ConnectionCheck } from "../../limits/connection-check.ts";
import { UserLimit } from "../../limits/user-limit.ts";
import type { TopicTransport } from "../../transports/transport.ts";
import type { UpgradeRequest } from "../../transports/upgrade-request.ts";
import { version } from "../../version.ts";
import type { ClientEvents } from "../../webhooks/client-events.ts";
import type { ClientSession } from "../client-session.ts";
import type { SenderIds } from "../sender-ids.ts";
import type { Connecting, SessionFactory, TransportLimits } from "../session.ts";
import type { Sessions } from "../sessions.ts";
import { CentrifugeSession } from "./centrifuge-session.ts";
import { CommandRates } from "./command-rates.ts";
import { CommandSet, type CommandSetParts } from "./command-set.ts";
import { ConnectedUsers } from "./connected-users.ts";
import type { Framing } from "./framing.ts";
import { HookCalls } from "./hooks/hook-calls.ts";
import { HookRefreshes } from "./hooks/hook-refreshes.ts";
import { HookSubRefreshes } from "./hooks/hook-sub-refreshes.ts";
import { Emulation, type EmulationParts } from "./http/emulation.ts";
import { emulationRoute } from "./http/emulation-route.ts";
import { type StreamRoutesParts, streamRoutes } from "./http/stream-routes.ts";
import { Inventory } from "./inventory.ts";
import { MessageRate } from "./message-rate.ts";
import { Subscribers } from "./subscribers.ts";
import { Heartbeats } from "./timing/heartbeats.ts";
import { ShardRevocations } from "./tokens/shard-revocations.ts";
import { Verifiers } from "./tokens/verifiers.ts";
import { UniSession } from "./uni-session.ts";
import { webSocketRequest } from "./web-socket-request.ts";

interface CentrifugeEndpointParts extends CommandSetParts {
	readonly options: CommandSetParts["options"] & {
		readonly row: Pick<Counters, "set"> & EmulationParts["row"] & { readonly slot: number };
		readonly openAddresses: () => AddressTable;
		readonly rates: RateTable;
		readonly board: EmulationParts["board"];
		readonly bus: EmulationParts["bus"];
		readonly log: Pick<Log, "error" | "warn">;
	};
	readonly sessions: Sessions;
	readonly hub: Hub;
	/** Sender numbers of clients of all protocols. */
	readonly senders: SenderIds<ClientSession>;
	readonly incoming: Pick<Incoming, "fromClient" | "announce">;
	readonly check: Pick<ConnectionCheck, "judge" | "admit" | "isCutOff"> & StreamRoutesParts["check"];
	/** Told of each client that connects, subscribes and unsubscribes. */
	readonly events: Pick<ClientEvents, "connected" | "subscribed" | "unsubscribed" | "cacheEmpty" | "wantsCacheEmpty">;
	/** Absent = calls of backends are not traced. */
	readonly tracer?: Tracer | null;
	/** Called after each record that was committed to the ring. */
	readonly onCommit: () => void;
	/** Monotonic clock in seconds; replaced in tests. */
	readonly now?: () => number;
}

/**
 * The WebSocket library drops the connection when a frame is longer than this. A shorter frame that is still too long is read, so that the
 * client gets close code 1009.
 */
const cutBytes = 1024 * 1024;

type Connected = Connecting<TopicTransport> | { readonly refused: Reply };

/** Serves the Centrifuge client protocol over WebSocket and over HTTP alone, for the existing client libraries. */
export class CentrifugeEndpoint implements SessionFactory<TopicTransport>, Feature {
	readonly name = "centrifuge";
	readonly endpoints: readonly SessionFactory<TopicTransport>[];
	readonly paths: readonly WebSocketPath[] = ["/connection/websocket"];
	readonly routes: readonly Route[];
	readonly sessions: Sessions;
	readonly hub: Hub;
	/** Sender numbers of clients of all protocols. */
	readonly senders: SenderIds<ClientSession>;
	readonly subscribers: Subscribers;
	readonly connected: ConnectedUsers<CentrifugeSession>;
	readonly events: CentrifugeEndpointParts["events"];
	readonly heartbeats: Heartbeats;
	readonly emulation: Emulation;
	readonly rate: MessageRate;
	readonly tokens: Verifiers;
	readonly revocations: ShardRevocations;
	readonly rates: CommandRates;
	readonly userLimit: UserLimit;
	readonly hooks: Hooks;
	readonly calls: HookCalls;
	readonly subRefreshes: HookSubRefreshes;
	readonly set: CommandSet;
	readonly #inventory: Inventory;
	readonly #parts: CentrifugeEndpointParts;

	/** As of the last reload. */
	#namespaces: Namespaces;
	#isStopped = false;

	constructor(parts: CentrifugeEndpointParts) {
		const { options, live, now = () => monotonicMs() / 1000 } = parts;
		const { config, row, log, board, bus } = options;
		this.#parts = parts;
		this.sessions = parts.sessions;
		this.hub = parts.hub;
		this.senders = parts.senders;
		const { events } = parts;
		this.events = events;
		this.connected = new ConnectedUsers<CentrifugeSession>((session) => events.connected(session));
		this.#namespaces = live.namespaces;
		this.subscribers = new Subscribers(parts.hub, () => live.namespaces);
		this.revocations = new ShardRevocations({ ask: options.ask, log, clients: () => this.sessions.snapshot() });
		this.tokens = new Verifiers(config, log, {
			revoked: this.revocations.refusal,
			userIdTooLong: () => row.add("userIdsTooLong", 1),
		});
		this.rate = new MessageRate(config, row);
		const { slot } = row;
		this.rates = new CommandRates({ config, table: options.rates, counters: row, nowMs: () => now() * 1000 });
		this.userLimit = new UserLimit({ config, slot, openTable: options.openAddresses, counters: row, clients: () => this.sessions.all });
		const unixTime = () => Date.now() / 1000;
		const failed = (error: unknown): void => {
			row.add("callbackErrors", 1);
			log.error({ error }, "a client's command failed because of a defect in this shard; its connection was closed");
		};
		this.hooks = new Hooks(config, log, parts.tracer);
		this.calls = new HookCalls(failed);
		const { hooks, calls } = this;
		const refreshes = new HookRefreshes({ hooks, calls, heartbeats: () => this.heartbeats, version, unixTime });
		this.subRefreshes = new HookSubRefreshes({
			hooks,
			calls,
			namespaces: () => live.namespaces,
			closeDelaySeconds: () => live.config.expiredSubCloseDelayMs / 1000,
			unixTime,
		});
		this.heartbeats = new Heartbeats({
			calls,
			refreshes,
			get times() {
				return live.config;
			},
			now,
			unixTime,
			random: Math.random,
		});
		this.emulation = new Emulation({ board, bus, row, onCommit: parts.onCommit, failed, nowMs: () => performance.now() });
		const { heartbeats, rate, rates, userLimit, connected, emulation } = this;
		this.set = new CommandSet(parts, {
			tokens: this.tokens,
			hooks,
			calls,
			refreshes,
			subRefreshes: this.subRefreshes,
			revocations: this.revocations,
			rate,
			rates,
			userLimit,
			heartbeats,
			connected,
			node: String(emulation.life),
			isCutOff: parts.check.isCutOff,
			failed,
			now,
			unixTime,
		});
		this.#inventory = new Inventory({
			subscribers: this.subscribers,
			connected,
			heartbeats,
			rawClients: parts.rawClients ?? (() => []),
			uid: String(emulation.life),
			slot: row.slot,
			node: config.redisAddress === undefined ? "" : nodeIdOf(config),
		});
		this.routes = [
			...streamRoutes({
				check: parts.check,
				session: (admitted, framing, headers) => this.#session(admitted, framing, headers),
				headers: (header) => hooks.kept(header),
				bufferedBytesMax: () => live.config.maxBufferedBytes,
			}),
			emulationRoute(emulation),
		];
		this.endpoints = [
			this,
			{ paths: ["/connection/uni_websocket"], limits: () => this.limits(), connect: (request) => this.#connect(request, true) },
		];
	}

	limits(): TransportLimits {
		const { maxBufferedBytes, idleTimeoutMs } = this.#parts.live.config;
		return { frameBytesMax: cutBytes, bufferedBytesMax: maxBufferedBytes, idleTimeoutMs };
	}

	connect(request: UpgradeRequest): Connected {
		return this.#connect(request, false);
	}

	answers(parts: PartAnswers): void {
		this.subscribers.answers(parts);
		this.set.users.answers(parts);
		this.revocations.answers(parts);
		this.#inventory.answers(parts);
	}

	async start(): Promise<void> {
		await this.revocations.start();
	}

	measures(metrics: Pick<ProcessMetrics, "addReading">): void {
		this.revocations.measures(metrics);
		this.hooks.measures(metrics);
	}

	everySecond(): void {
		this.revocations.everySecond();
		this.heartbeats.tick();
		this.set.everySecond();
		this.subscribers.writeCounts(this.#parts.options.row);
	}

	/** New permissions apply to later commands. Existing subscriptions stay, unless the namespace of the channel has been removed. */
	reload(config: Config): Commit {
		const steps = [this.hooks.prepare(config), this.tokens.reload(config), this.rates.prepare(config), this.userLimit.prepare(config)];
		return () => {
			for (const step of steps) step();
			this.rate.set(config);
			this.#useNamespaces();
		};
	}

	/** Waits for the answers of backends, so that no client is closed in the middle of its command. */
	drain(leftMs: number): Promise<void> {
		return withinDeadline(this.calls.whenAnswered(), leftMs);
	}

	/** Tells the subscribers of a channel, on all shards, that a client has joined or left. */
	announce(type: AnnouncementType, channel: string, info: Uint8Array): void {
		if (!this.#isStopped) this.#parts.incoming.announce(type, channel, info);
	}

	/** Called when a client has been subscribed. */
	subscribed(session: CentrifugeSession, channel: string): void {
		const { events } = this;
		events.subscribed(session, channel);
		if (events.wantsCacheEmpty && this.#isEmpty(channel)) events.cacheEmpty(channel);
	}

	/** Whether the channel keeps a history that is empty, as far as is known without waiting. */
	#isEmpty(name: string): boolean {
		const { history, reader } = this.#parts;
		const channel = this.subscribers.channel(name);
		if (channel.history === null || channel.isPattern) return false;
		return history.history(name, { limit: 1, reverse: true, asOf: reader })?.publications.length === 0;
	}

	stop(): void {
		// Connections that end from now on are not announced, since the bus is about to close.
		this.#isStopped = true;
		this.hooks.stop();
		this.set.stop();
		this.emulation.stop();
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
		session.headers = this.hooks.kept(request.head.joinedHeader);
		return { session, subprotocol };
	}

	/** Creates the session of a client that connects by HTTP alone. What it sends later arrives in other requests. */
	#session(admitted: Admitted, framing: Framing, headers: ClientHeaders): CentrifugeSession {
		const session = framing.isUni
			? new UniSession(this, admitted, framing, false, null)
			: new CentrifugeSession(this, admitted, framing, false);
		session.headers = headers;
		if (!framing.isUni) session.sessionId = this.emulation.newId();
		return session;
	}

	/** Applies changed channel options to the sessions. */
	#useNamespaces(): void {
		const { namespaces } = this.#parts.live;
		if (namespaces === this.#namespaces) return;
		this.#namespaces = namespaces;
		this.subscribers.patterns.forgetNames();
		for (const session of this.sessions.snapshot()) if (session instanceof CentrifugeSession) session.applyNamespaces(namespaces);
	}
}
