import type { Config } from "@shardcast/config";
import { type ConsolePart, consoleQuestion, metricsQuestion } from "@shardcast/control";
import { clusterRoutes } from "@shardcast/http";
import { LimitAudit, RateLimit } from "@shardcast/limits";
import { closeWithReset } from "@shardcast/native";
import { openFiles } from "@shardcast/process";
import { ShardState } from "@shardcast/scoreboard";
import { BoundedLines } from "@shardcast/telemetry";
import { type ChannelList, everybody, monotonicMs, type Publishing, type RecordKind, shardLife } from "@shardcast/wire";
import type { BusyChannel } from "../console/channel-activity.ts";
import { ConsoleEndpoint } from "../console/console-endpoint.ts";
import { consoleEvents } from "../console/console-events.ts";
import { ConsoleFeed } from "../console/console-feed.ts";
import { type ConsoleSnapshot, consoleSnapshot } from "../console/console-snapshot.ts";
import { FanOut } from "../delivery/fan-out.ts";
import { FlushEngine } from "../delivery/flush.ts";
import { FlushPolicy } from "../delivery/flush-policy.ts";
import { Handlers } from "../delivery/handlers.ts";
import { HeldFrames } from "../delivery/held-frames.ts";
import { Incoming } from "../delivery/incoming.ts";
import type { MessageHandler, Middleware } from "../delivery/middleware.ts";
import { Publisher } from "../delivery/publisher.ts";
import { PublishApi } from "../http/publish-api.ts";
import { Hub } from "../hub/hub.ts";
import { Admission } from "../limits/admission.ts";
import { ConnectionCheck } from "../limits/connection-check.ts";
import { PublishRate } from "../limits/publish-rate.ts";
import { Pacing } from "../pacing/pacing.ts";
import { LeavingSessions } from "../sessions/leaving-sessions.ts";
import { ChannelSets } from "../sessions/raw/channel-sets.ts";
import { RawEndpoint } from "../sessions/raw/raw-endpoint.ts";
import type { RawSession } from "../sessions/raw/raw-session.ts";
import { SenderIds } from "../sessions/raw/sender-ids.ts";
import { Sessions } from "../sessions/sessions.ts";
import { HandoffIntake } from "../transports/handoff-intake.ts";
import { type SocketHandlers, Sockets } from "../transports/sockets.ts";
import { LiveSettings } from "./live-settings.ts";
import { drainShard } from "./shard-drain.ts";
import { ShardHeartbeat } from "./shard-heartbeat.ts";
import type { ShardOptions } from "./shard-options.ts";
import { version } from "./version.ts";

/** Out of files, every connection is lost: a line each would fill the disk as well. */
const lostLineEveryMs = 1000;
/** One defect may show with every frame. */
const failureLineEveryMs = 1000;
/** A client that reads slowly is cut if it has not made room for its close frame by then. */
const leavingDeadlineMs = 5000;
/**
 * Client messages held for a full ring. uWebSockets.js reads some 5 MB from one socket before the loop goes on, so that a client's
 * share is a few such gulps.
 */
const heldLimits = { bytesMax: 64 * 1024 * 1024, clientBytesMax: 16 * 1024 * 1024 };
/** Messages whose handlers wait, for the same reason. */
const waitingLimits = { bytesMax: 64 * 1024 * 1024, senderBytesMax: 16 * 1024 * 1024 };
const handlerDeadlineMs = 10_000;

/** It has no address. */
const ownProgram = { address: "" };

/**
 * One shard: clients, their channels, its end of the bus, and the flushes that join them. Knows neither in which process it runs
 * nor who its bus goes to; several fit into one process.
 */
export class Shard {
	readonly engine: FlushEngine;
	readonly sessions: Sessions;
	readonly #options: ShardOptions;
	readonly #sockets: Sockets;
	readonly #channelSets: ChannelSets;
	readonly #hub: Hub;
	readonly #handlers: Handlers;
	readonly #publisher: Publisher;
	readonly #held: HeldFrames;
	readonly #incoming: Incoming;
	readonly #publish: PublishApi;
	readonly #leaving: LeavingSessions;
	readonly #pacing: Pacing;
	readonly #intake: HandoffIntake | null;
	readonly #heartbeat: ShardHeartbeat;
	readonly #console: ConsoleFeed;
	readonly #live: LiveSettings;
	readonly #admission: Admission;
	readonly #check: ConnectionCheck;
	readonly #clientRate: RateLimit<RawSession>;
	readonly #publisherRate: PublishRate;
	#port = 0;
	#openAtStart = 0;

	constructor(options: ShardOptions) {
		const { config, row, bus, handoff, log } = options;
		options.parts.add(consoleQuestion, ({ channels }) => this.#consolePart(channels));
		const { connectionsMax } = row;
		const nowMs = () => performance.now();
		this.#options = options;
		const live = new LiveSettings(config);
		this.#live = live;
		this.#admission = new Admission({
			config,
			slot: row.slot,
			rates: options.rates,
			openAddresses: options.openAddresses,
			audit: new LimitAudit(log),
			counters: row,
			nowMs: monotonicMs,
		});
		this.#check = new ConnectionCheck({
			admission: this.#admission,
			clients: () => this.sessions.count,
			row,
			allowedOrigins: () => live.allowedOrigins,
			isProxy: options.isProxy,
		});
		this.#clientRate = new RateLimit(config.messageRate, connectionsMax);
		this.#publisherRate = new PublishRate(options.rates, config.messageRate);
		this.#channelSets = new ChannelSets(everybody, connectionsMax);
		this.#hub = new Hub([this.#channelSets]);
		const senders = new SenderIds<RawSession>();
		this.#leaving = new LeavingSessions({
			bufferedBytesMax: () => live.bufferedBytesLeast,
			deadlineMs: leavingDeadlineMs,
			nowMs,
			resetting: closeWithReset,
			counters: row,
		});
		this.#pacing = new Pacing({
			clients: () => this.sessions.all,
			bufferedBytesMax: () => live.bufferedBytesLeast,
			ringBytes: bus.capacityBytes,
			counters: row,
			nowMs,
		});
		this.sessions = new Sessions({
			leaving: this.#leaving,
			pacing: this.#pacing,
			check: this.#check,
			counters: row,
			words: row,
			events: {
				opened: (session) => {
					options.events?.opened(session);
					if (log.level === "debug") log.debug({ address: session.address }, "client connected");
				},
				closed: (session, code) => options.events?.closed(session, code),
			},
			soon: setImmediate,
		});
		this.#held = new HeldFrames(heldLimits);
		this.#publisher = new Publisher({
			ring: bus,
			held: this.#held,
			counters: row,
			onCommit: () => this.engine.committed(),
			onFull: () => this.engine.hurry(),
		});
		this.#handlers = new Handlers({
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			deadlineMs: options.handlerDeadlineMs ?? handlerDeadlineMs,
			limits: waitingLimits,
			onError: (error) => log.debug({ error }, "a handler failed; its message is lost"),
		});
		this.#incoming = new Incoming({
			senders,
			publisher: options.ingest?.publisher ?? this.#publisher,
			handlers: this.#handlers,
			rate: this.#clientRate,
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			get clientsMayPublish() {
				return live.mayPublish.webSocket === "everyone";
			},
			nowMs,
		});
		this.#publish = new PublishApi({
			incoming: this.#incoming,
			rate: this.#publisherRate,
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			get isKey() {
				return live.isKey;
			},
			nowMs: monotonicMs,
		});
		this.#console = new ConsoleFeed({ nowMs: monotonicMs, snapshot: (busiest) => this.#consoleSnapshot(busiest) });
		this.#sockets = new Sockets({
			sessions: [
				new RawEndpoint({
					sessions: this.sessions,
					channelSets: this.#channelSets,
					senders,
					incoming: this.#incoming,
					check: this.#check,
					payloadBytesMax: config.maxPayloadBytes,
					settings: () => live.config,
				}),
				new ConsoleEndpoint({ feed: this.#console, check: this.#check, token: () => live.config.consoleToken }),
			],
			routes: [
				this.#publish.route,
				consoleEvents({ feed: this.#console, check: this.#check, token: () => live.config.consoleToken }),
				...clusterRoutes({ board: options.board, mayPublish: () => live.mayPublish, metrics: () => options.ask(metricsQuestion, null) }),
			],
			rules: live,
			handlers: this.#socketHandlers(),
			counters: row,
		});
		const fanOut = new FanOut({
			member: bus.member,
			life: shardLife(bus.member, row.incarnation),
			hub: this.#hub,
			senders,
			topics: this.#sockets,
			counters: row,
			console: this.#console,
		});
		const lostLines = new BoundedLines(lostLineEveryMs);
		this.#intake =
			handoff === null
				? null
				: new HandoffIntake({
						channel: handoff,
						adopt: (descriptor) => this.#sockets.adopt(descriptor),
						counters: row,
						words: row,
						onError: (error) => lostLines.offer((leftOut) => log.error({ error, leftOut }, "a connection that was handed over is lost")),
					});
		this.engine = new FlushEngine({
			bus,
			policy: new FlushPolicy({
				pauseRatio,
				get pauseMsMax() {
					return live.config.flushMaxMs * pauseShare;
				},
			}),
			counters: row,
			deliver: fanOut.deliver,
			deliverIngested: fanOut.deliverIngested,
			beforeTurn: () => {
				this.sessions.closeSlow();
				this.#intake?.take();
				this.#publisher.retry();
			},
			hasPublished: () => fanOut.hasPublished,
			afterFlush: () => fanOut.count(),
			holds: () => this.#publisher.holds,
			get batch() {
				return live.config.batch;
			},
			pacing: this.#pacing,
		});
		this.#heartbeat = new ShardHeartbeat({
			counters: row,
			bus,
			onOverslept: () => this.engine.wake(),
			sample: options.sample,
			onSecond: () => this.#everySecond(),
		});
	}

	#everySecond(): void {
		this.#leaving.expire();
		this.#admission.tick();
		this.#intake?.look();
	}

	/** Where it listens; 0 = nowhere. */
	get port(): number {
		return this.#port;
	}

	/** What only this shard knows of what the console shows. */
	#consolePart(channels: readonly string[]): ConsolePart {
		return {
			slot: this.#options.row.slot,
			subscribers: channels.map((channel) => this.#hub.reach(channel)),
			kafka: this.#options.ingest?.glance() ?? null,
		};
	}

	/** Adds a handler for all messages from now on. */
	use(middleware: Middleware): void {
		this.#handlers.use(middleware);
	}

	/** Sets what sees each message that all handlers let through. */
	onMessage(handler: MessageHandler): void {
		this.#handlers.setLast(handler);
	}

	/** A message of the program that runs this shard, through the handlers like any other. */
	publish(kind: RecordKind, channels: ChannelList, payload: Uint8Array): Publishing {
		return this.#incoming.publish(kind, channels, payload, ownProgram, "host");
	}

	/** Takes over those settings that may change while it serves; all others are left as they were. */
	reload(config: Config): void {
		const { connectionsMax } = this.#options.row;
		this.#live.change(config);
		this.#clientRate.perSecond = config.messageRate;
		this.#clientRate.clientsMax = connectionsMax;
		this.#publisherRate.perSecond = config.messageRate;
		this.#channelSets.channelSetsMax = connectionsMax;
		this.#sockets.limit();
		this.#admission.change(config, this.sessions.snapshot());
	}

	async start(): Promise<void> {
		const { address, bus, row, ingest } = this.#options;
		row.state = ShardState.starting;
		this.#openAtStart = openFiles() ?? 0;
		// A thread and its connections take a while, which the rest need not wait for.
		const ingesting = ingest?.start(this.engine);
		row.set("ringBytes", bus.capacityBytes);
		this.#limitByFiles();
		if (address !== null) this.#port = await this.#sockets.listen(address);
		bus.onWake(() => {
			row.add("doorbells", 1);
			this.engine.wake();
		});
		this.#heartbeat.start();
		this.engine.start();
		await ingesting;
		row.state = ShardState.serving;
		ingest?.serving();
	}

	/** Before anybody can connect: a process that runs out of descriptors fails at whatever needs the next one. */
	#limitByFiles(): void {
		const { row, log, connectionsFit } = this.#options;
		row.connectionsFit = Number.isFinite(connectionsFit) ? connectionsFit : 0;
		const { connectionsGiven, connectionsMax } = row;
		if (connectionsMax === connectionsGiven) return;
		const fields = { connectionsMax, connectionsGiven };
		log.warn(
			fields,
			`takes ${connectionsMax} clients instead of ${connectionsGiven}: it may not open more files (ulimit -n, LimitNOFILE=)`,
		);
	}

	/**
	 * Takes nothing new, works off what it has, tells the clients to go. Resolves with what was cut off: messages that found no room,
	 * publishes whose body had not come, clients that did not read what they had to get.
	 */
	async drain(deadlineMs: number): Promise<number> {
		const { row, log, ingest } = this.#options;
		this.#check.drain();
		row.state = ShardState.draining;
		this.#sockets.stopListening();
		this.#publish.drain();
		const { bodies } = this.#sockets;
		const drained = await drainShard(
			{
				engine: this.engine,
				sessions: this.sessions,
				leaving: this.#leaving,
				unfinished: () => this.#held.count + bodies.count + this.#handlers.waiting,
				bodiesRead: () => bodies.whenNone(),
				messagesHandled: () => this.#handlers.whenNone(),
				ingestDrained: async (workMs) => ingest?.drain(workMs),
				consoleClosed: () => this.#console.close(),
				clientsPerSecond: this.#live.config.drainRate,
				openAtStart: this.#openAtStart,
			},
			deadlineMs,
		);
		log.debug(drained, "drained");
		return drained.unfinished + drained.unread;
	}

	async stop(): Promise<void> {
		this.#check.drain();
		await this.#options.ingest?.stop();
		this.engine.stop();
		this.#intake?.close();
		this.#sockets.close();
		this.#options.bus.close();
		// Last: whoever waits for this process to leave must see whether it still works on it.
		this.#heartbeat.stop();
	}

	#socketHandlers(): SocketHandlers {
		const { row, log } = this.#options;
		const failures = new BoundedLines(failureLineEveryMs);
		return {
			connections: (count) => {
				row.connections = count;
			},
			socketsMax: () => row.socketsMax,
			overfull: () => this.#check.full(),
			proxiedAddress: (head) => this.#check.proxiedAddress(head),
			failed: (callback, error) => {
				row.add("callbackErrors", 1);
				failures.offer((leftOut) =>
					log.error({ error, callback, leftOut }, "a request or a connection failed in this shard; it was ended"),
				);
			},
		};
	}

	async #consoleSnapshot(busiest: readonly BusyChannel[]): Promise<ConsoleSnapshot> {
		const { board, ask } = this.#options;
		const { config } = this.#live;
		const { events, parts } = await ask(consoleQuestion, { channels: busiest.map(({ name }) => name) });
		return consoleSnapshot(board, {
			version,
			mayPublish: this.#live.mayPublish,
			atMs: Date.now(),
			monotonicMs: monotonicMs(),
			channels: busiest,
			kafkaMode: config.kafkaMode,
			events,
			parts,
		});
	}
}

/**
 * A pause as a multiple of the flush before it: with three, flushing takes a quarter of the loop's time at most. At 500 messages/s to
 * 1,000 clients on two shards this costs 0.68 of what a bare server does per delivery, with the same p99; one costs 0.85
 * (`npm run bench:fanout`).
 */
const pauseRatio = 3;
/**
 * Of `--flush-max`, what the pause may take. The rest is for the flush that follows, whose writes a message waits for as well. A flush that
 * is preempted takes long and asks for a long pause: measured with the whole of it, p99 was 1.17 of the bare server's, with half of it 0.97.
 */
const pauseShare = 0.5;
