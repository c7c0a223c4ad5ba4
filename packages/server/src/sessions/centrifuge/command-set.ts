import type { ChannelLog, LogReader } from "@shardcast/channel-log";
import { type Namespaces, personalChannelOf } from "@shardcast/channels";
import type { Config } from "@shardcast/config";
import { type Ask, disconnectQuestion } from "@shardcast/control";
import type { KafkaHistory } from "@shardcast/kafka";
import { DisconnectCode, disconnects } from "@shardcast/protocol";
import type { Counters } from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { defaultHandlerDeadlineMs } from "../../delivery/incoming/inbound.ts";
import type { Incoming } from "../../delivery/incoming/incoming.ts";
import type { DurableChannels } from "../../durable/durable-channels.ts";
import type { HistoryReader } from "../../durable/history-reader.ts";
import type { Hooks } from "../../hooks/hooks.ts";
import type { UserLimit } from "../../limits/user-limit.ts";
import { version } from "../../version.ts";
import type { CentrifugeSession } from "./centrifuge-session.ts";
import { ClientHandlers } from "./client-handlers.ts";
import type { CommandRates } from "./command-rates.ts";
import { ChannelCommands } from "./commands/channel/channel-commands.ts";
import { PresenceCommands } from "./commands/channel/presence-commands.ts";
import { CommandTurns, usualTurnMs } from "./commands/command-turns.ts";
import { Commands } from "./commands/commands.ts";
import { ConnectCommands } from "./commands/connect/connect-commands.ts";
import { ServerSubscriptions } from "./commands/connect/server-subscriptions.ts";
import { UniConnects } from "./commands/connect/uni-connects.ts";
import { KafkaRecovery } from "./commands/recovery/kafka-recovery.ts";
import { Recovery } from "./commands/recovery/recovery.ts";
import { ReplyRoom } from "./commands/reply-room.ts";
import { SubscribeCommands } from "./commands/subscribe/subscribe-commands.ts";
import { SubscribeResults } from "./commands/subscribe/subscribe-results.ts";
import type { ConnectedUsers } from "./connected-users.ts";
import { Consumers } from "./durable/consumers.ts";
import type { HookCalls } from "./hooks/hook-calls.ts";
import type { HookRefreshes } from "./hooks/hook-refreshes.ts";
import { rpcByHook } from "./hooks/hook-rpc.ts";
import type { HookSubRefreshes } from "./hooks/hook-sub-refreshes.ts";
import type { MessageRate } from "./message-rate.ts";
import type { Heartbeats } from "./timing/heartbeats.ts";
import type { ShardRevocations } from "./tokens/shard-revocations.ts";
import type { Verifiers } from "./tokens/verifiers.ts";
import { Users, type UsersParts } from "./users.ts";

/** What commands need from the shard. */
export interface CommandSetParts {
	readonly options: {
		readonly config: Config;
		readonly row: Pick<Counters, "add">;
		readonly log: Pick<Log, "error">;
		readonly ask: Ask;
		/** How long a handler may run, in milliseconds; see `defaultHandlerDeadlineMs`. */
		readonly handlerDeadlineMs?: number;
		/** See `CommandTurns`; replaced in tests. */
		readonly commandTurnMs?: number;
		/** See `ReplyRoom`; replaced in tests. */
		readonly unreadBytesMax?: number | undefined;
	};
	/** Read at each use. */
	readonly live: { readonly config: Config; readonly namespaces: Namespaces };
	readonly incoming: Pick<Incoming, "fromClient">;
	/** The channel logs and this shard's reader of them. */
	readonly history: ChannelLog;
	readonly reader: LogReader;
	/** Absent = no channel is durable. */
	readonly durable?: DurableChannels | null;
	/** Reads the history of any channel, wherever it is kept. */
	readonly histories: HistoryReader;
	/** The raw endpoint's clients of a user; absent = none. */
	readonly rawClients?: UsersParts["rawClients"];
	/** Reads history that only Kafka still has; null = Kafka is not used, or not read for clients. */
	readonly kafka: KafkaHistory | null;
}

/** What commands need from the endpoint. */
interface CommandSetContext {
	readonly tokens: Verifiers;
	readonly revocations: Pick<ShardRevocations, "isBlocked" | "isRevoked">;
	readonly hooks: Hooks;
	readonly calls: HookCalls;
	readonly refreshes: HookRefreshes;
	readonly subRefreshes: HookSubRefreshes;
	readonly rate: MessageRate;
	readonly rates: CommandRates;
	readonly userLimit: UserLimit;
	readonly heartbeats: Heartbeats;
	readonly connected: ConnectedUsers<CentrifugeSession>;
	/** Names this shard, for clients whose commands arrive in other requests. */
	readonly node: string;
	/** See `ConnectionCheck`. */
	readonly isCutOff: () => boolean;
	/** Called when a command failed because of a defect. */
	readonly failed: (error: unknown) => void;
	/** Monotonic clock, in seconds. */
	readonly now: () => number;
	/** Seconds since 1970. */
	readonly unixTime: () => number;
}

/** Assembles all client commands, and the backend's operations on clients, with what they share. Each file below `commands` holds one part. */
export class CommandSet {
	readonly commands: Commands;
	readonly uniConnects: UniConnects;
	readonly users: Users;
	/** The handlers of the application. */
	readonly handlers: ClientHandlers;
	readonly #presence: PresenceCommands;
	readonly #fromKafka: KafkaRecovery;
	readonly #consumers: Consumers;

	constructor(parts: CommandSetParts, context: CommandSetContext) {
		const { options, live, incoming, histories } = parts;
		const { config, row, log, ask } = options;
		const { tokens, hooks, calls, refreshes, subRefreshes, rate, rates, userLimit, heartbeats, connected, failed, unixTime } = context;
		const namespaces = () => live.namespaces;
		const insecure = () => live.config.clientInsecure;
		const channelLimit = () => live.config.channelLimit;
		const recovery = new Recovery({ log: histories, reader: parts.reader, publicationsMax: () => live.config.recoveryLimitMax });
		const results = new SubscribeResults({ recovery, counters: row });
		const rules = {
			get insecure() {
				return insecure();
			},
			get channelLimit() {
				return channelLimit();
			},
			personalChannel: (user: string) => personalChannelOf(live.config, user),
		};
		const turns = new CommandTurns(options.commandTurnMs ?? usualTurnMs);
		const room = new ReplyRoom({ turns, counters: row, bytesMax: options.unreadBytesMax });
		const { isRevoked } = context.revocations;
		const waits = (channel: string) => histories.waits?.(channel) ?? null;
		const subscriptions = new ServerSubscriptions({ namespaces, rules, results, waits });
		const connect = new ConnectCommands({
			config: () => live.config,
			tokens: () => tokens.connection,
			hooks,
			calls,
			refreshes,
			isBlocked: (user) => context.revocations.isBlocked(user),
			isCutOff: context.isCutOff,
			isRevoked,
			subscriptions,
			room,
			heartbeats,
			connected,
			userLimit,
			rates,
			onlyOne: (session) => closeOthers(ask, session),
			version,
			node: context.node,
			unixTime,
		});
		this.#fromKafka = new KafkaRecovery(parts.kafka, config.kafkaRecoveryMemoryBytes);
		const subscribing = new SubscribeCommands({
			namespaces,
			rules,
			tokens: () => tokens.subscription,
			isRevoked,
			hooks,
			calls,
			subRefreshes,
			results,
			fromKafka: this.#fromKafka,
			consumers: () => this.#consumers,
			waits,
			isCutOff: context.isCutOff,
			unixTime,
		});
		const channels = new ChannelCommands({
			incoming,
			get namespaces() {
				return live.namespaces;
			},
			rules: {
				get insecure() {
					return insecure();
				},
				get historyLimit() {
					return live.config.historyLimitMax;
				},
				get clientsMayPublish() {
					return live.config.clientPublish !== "off";
				},
				payloadBytesMax: config.maxPayloadBytes,
			},
			log: histories,
			underRate: rate.under,
			hooks,
			calls,
		});
		this.#presence = new PresenceCommands({ namespaces, insecure, ask });
		this.handlers = new ClientHandlers({
			counters: row,
			deadlineMs: options.handlerDeadlineMs ?? defaultHandlerDeadlineMs,
			underRate: rate.under,
			byBackend: rpcByHook({ hooks, calls, underRate: rate.under }),
			onError: (error) => log.error({ error }, "a handler of a client's command failed; the client gets error 100"),
		});
		this.#consumers = new Consumers({
			durable: parts.durable ?? null,
			reader: parts.reader,
			counters: row,
			config: () => live.config,
			nowMs: () => context.now() * 1000,
			rpc: this.handlers.rpc,
		});
		this.users = new Users({
			connected,
			subscriptions,
			namespaces,
			channelLimit,
			rawClients: parts.rawClients ?? (() => []),
			heartbeats,
			unixTime,
		});
		this.uniConnects = new UniConnects({ connect: connect.connect, counters: row, failed });
		this.commands = new Commands({
			counters: row,
			handlers: {
				connect: connect.connect,
				refresh: connect.refresh,
				subscribe: subscribing.subscribe,
				unsubscribe: subscribing.unsubscribe,
				publish: channels.publish,
				presence: this.#presence.presence,
				presenceStats: this.#presence.presenceStats,
				history: channels.history,
				rpc: this.#consumers.rpc,
				send: this.handlers.send,
				subRefresh: subscribing.subRefresh,
			},
			pong: (session) => heartbeats.pong(session),
			failed,
			rates,
			turns,
			room,
		});
	}

	everySecond(): void {
		this.#consumers.everySecond();
		this.#presence.sweep();
	}

	stop(): void {
		this.#fromKafka.stop();
	}
}

/** Closes the user's earlier connections, on every shard. */
function closeOthers(ask: Ask, { user, id: client, connectedAt: since }: CentrifugeSession): void {
	const { code, reason } = disconnects[DisconnectCode.connectionLimit];
	// A shard that does not answer has no clients any more, or will soon be killed.
	ask(disconnectQuestion, { user, keep: { client, since }, code, reason }).catch(() => {});
}
