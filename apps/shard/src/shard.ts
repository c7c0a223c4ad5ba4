import { setTimeout as pause } from "node:timers/promises";
import { type BoardRow, type BusLink, healthReport, readiness, type Scoreboard, ShardState } from "@shardcast/bus";
import type { DescriptorChannel } from "@shardcast/native";
import {
	type Address,
	type Config,
	type ConsoleAnswer,
	type ConsolePart,
	Deadline,
	type Log,
	metricsContentType,
	type ProcessSample,
	withDeadline,
} from "@shardcast/service";
import { type ChannelList, CloseCode, everybody, monotonicMs, type RecordKind, shardLife } from "@shardcast/wire";
import { addressOf, type Client } from "./client.ts";
import { proxiedAddress } from "./client-address.ts";
import { Clients } from "./clients.ts";
import type { BusyChannel } from "./console/channel-activity.ts";
import { consoleForbidden, mayWatch } from "./console/console-access.ts";
import { ConsoleFeed } from "./console/console-feed.ts";
import { type ConsoleSnapshot, consoleSnapshot } from "./console/console-snapshot.ts";
import { closeAll, lingered, openDescriptors } from "./drain.ts";
import { FanOut } from "./fan-out.ts";
import { FlushEngine } from "./flush.ts";
import { FlushPolicy } from "./flush-policy.ts";
import { HandoffIntake } from "./handoff-intake.ts";
import { HeldFrames } from "./held-frames.ts";
import { type HttpReply, json, refusal } from "./http-reply.ts";
import { Incoming, type PublishOutcome } from "./incoming.ts";
import type { ShardIngest } from "./ingest/shard-ingest.ts";
import { LeavingClients } from "./leaving-clients.ts";
import { LiveSettings } from "./live-settings.ts";
import { type Middleware, MiddlewareChain } from "./middleware.ts";
import { PublishApi } from "./publish-api.ts";
import { Publisher } from "./publisher.ts";
import { RateLimit } from "./rate-limit.ts";
import { Rooms } from "./rooms.ts";
import { SenderIds } from "./sender-ids.ts";
import { type SocketHandlers, Sockets } from "./sockets.ts";
import { judgeUpgrade } from "./upgrade-request.ts";
import { version } from "./version.ts";
import { Vitals } from "./vitals.ts";

export interface ShardOptions {
	readonly config: Config;
	readonly board: Scoreboard;
	readonly row: BoardRow;
	/** This shard's end of the bus; closed with it. */
	readonly bus: BusLink;
	/** Where it listens; null = it only gets connections handed over. */
	readonly address: Address | null;
	readonly connectionsMax: number;
	/** Through which connections are handed over; null = there is no balancer that could. */
	readonly handoff: Pick<DescriptorChannel, "receive" | "close"> | null;
	/** Knows our own balancer by what it shows when it forwards; null = nobody forwards. */
	readonly isProxy: ((given: string) => boolean) | null;
	/** Kafka; null = it is not used. */
	readonly ingest: ShardIngest | null;
	readonly log: Log;
	/** CPU, memory and loop of the process that hosts this shard. */
	readonly sample: () => ProcessSample;
	/** What the console shows that this shard does not know alone. */
	readonly consoleAnswer: (channels: readonly string[]) => Promise<ConsoleAnswer>;
	/** The metrics of the whole cluster, as GET /metrics gives them. */
	readonly metrics: () => Promise<string>;
	/** Told as clients come and go. */
	readonly events?: ClientEvents;
}

/** Must not throw: it is called out of the library's own callbacks. */
export interface ClientEvents {
	opened(client: Client): void;
	/** @param code as the client sent it, or as we did. */
	closed(client: Client, code: number): void;
}

/** Share of the drain's time that work already taken may use up, before clients are told to go. */
const workShare = 0.25;
/** How long connections may take to end after their last byte was written. */
const lingerMsMax = 250;
/** A client that reads slowly is cut if it has not made room for its close frame by then. */
const leavingDeadlineMs = 5000;
/**
 * Client messages held for a full ring. uWebSockets.js reads some 5 MB from one socket before the loop goes on, so that a client's
 * share is a few such gulps.
 */
const heldLimits = { bytesMax: 64 * 1024 * 1024, clientBytesMax: 16 * 1024 * 1024 };

/**
 * One shard: clients, their channels, its end of the bus, and the flushes that join them. Knows neither in which process it runs
 * nor who its bus goes to; several fit into one process.
 */
export class Shard {
	readonly engine: FlushEngine;
	readonly clients: Clients;
	readonly #options: ShardOptions;
	readonly #sockets: Sockets;
	readonly #rooms: Rooms;
	readonly #middleware = new MiddlewareChain();
	readonly #publisher: Publisher;
	readonly #held: HeldFrames;
	readonly #incoming: Incoming;
	readonly #publish: PublishApi;
	readonly #leaving: LeavingClients;
	readonly #intake: HandoffIntake | null;
	readonly #vitals: Vitals;
	readonly #console: ConsoleFeed;
	readonly #live: LiveSettings;
	readonly #clientRate: RateLimit<Client>;
	readonly #publisherRate: RateLimit<string>;
	#draining = false;
	#port = 0;
	#openAtStart = 0;

	constructor(options: ShardOptions) {
		const { config, row, bus, handoff, connectionsMax, log } = options;
		const nowMs = () => performance.now();
		this.#options = options;
		const live = new LiveSettings(config);
		this.#live = live;
		this.#clientRate = new RateLimit(config.messageRate, connectionsMax);
		this.#publisherRate = new RateLimit(config.messageRate, publishersMax);
		this.#rooms = new Rooms(everybody, connectionsMax);
		const senders = new SenderIds<Client>();
		this.#leaving = new LeavingClients({ bufferedBytesMax: config.maxBufferedBytes, deadlineMs: leavingDeadlineMs, nowMs });
		this.clients = new Clients({ rooms: this.#rooms, senders, leaving: this.#leaving, counters: row, words: row, soon: setImmediate });
		this.#held = new HeldFrames(heldLimits);
		this.#publisher = new Publisher({
			ring: bus,
			held: this.#held,
			counters: row,
			onCommit: () => this.engine.committed(),
			onFull: () => this.engine.hurry(),
		});
		this.#incoming = new Incoming({
			clients: this.clients,
			senders,
			publisher: options.ingest?.publisher ?? this.#publisher,
			middleware: this.#middleware,
			rate: this.#clientRate,
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			nowMs,
			onHandlerError: (error) => log.debug({ error }, "a handler failed; its message is lost"),
		});
		this.#publish = new PublishApi({
			incoming: this.#incoming,
			rate: this.#publisherRate,
			counters: row,
			payloadBytesMax: config.maxPayloadBytes,
			get allowedOrigins() {
				return live.allowedOrigins;
			},
			get isKey() {
				return live.isKey;
			},
			nowMs,
		});
		this.#sockets = new Sockets({
			payloadBytesMax: config.maxPayloadBytes,
			bufferedBytesMax: config.maxBufferedBytes,
			idleTimeoutMs: config.idleTimeoutMs,
			publish: this.#publish,
			handlers: this.#handlers(),
		});
		this.#console = new ConsoleFeed({ nowMs: monotonicMs, snapshot: (busiest) => this.#consoleSnapshot(busiest) });
		const fanOut = new FanOut({
			member: bus.member,
			life: shardLife(bus.member, row.incarnation),
			rooms: this.#rooms,
			senders,
			topics: this.#sockets,
			counters: row,
			console: this.#console,
		});
		this.#intake =
			handoff === null
				? null
				: new HandoffIntake({
						channel: handoff,
						adopt: (descriptor) => this.#sockets.adopt(descriptor),
						counters: row,
						words: row,
						onError: (error) => log.error({ error }, "a connection that was handed over is lost"),
					});
		this.engine = new FlushEngine({
			bus,
			policy: new FlushPolicy({
				pauseRatio,
				get pauseMsMax() {
					return live.flushMaxMs;
				},
			}),
			counters: row,
			deliver: fanOut.deliver,
			deliverIngested: fanOut.deliverIngested,
			beforeTurn: () => {
				this.clients.closeSlow();
				this.#intake?.take();
				this.#publisher.retry();
			},
			afterFlush: () => fanOut.count(),
			holds: () => this.#publisher.holds,
			batch: config.batch,
			turnBytesMax: config.maxBufferedBytes * turnShareOfBuffer,
		});
		this.#vitals = new Vitals({ counters: row, bus, sample: options.sample, onBeat: () => this.#leaving.expire() });
	}

	/** Where it listens; 0 = nowhere. */
	get port(): number {
		return this.#port;
	}

	/** What only this shard knows of what the console shows. */
	consolePart(channels: readonly string[]): ConsolePart {
		return {
			slot: this.#options.row.slot,
			subscribers: channels.map((channel) => this.#rooms.reach(channel)),
			kafka: this.#options.ingest?.glance() ?? null,
		};
	}

	/** Adds a handler for all messages from now on. */
	use(middleware: Middleware): void {
		this.#middleware.use(middleware);
	}

	/** A message of the program that runs this shard, through the handlers like any other. */
	publish(kind: RecordKind, channels: ChannelList, payload: Uint8Array): PublishOutcome {
		return this.#incoming.publish(kind, channels, payload, "", "host");
	}

	/** Takes over those settings that may change while it serves; all others are left as they were. */
	reload(config: Config): void {
		this.#live.change(config);
		this.#clientRate.perSecond = config.messageRate;
		this.#publisherRate.perSecond = config.messageRate;
	}

	async start(): Promise<void> {
		const { address, bus, row, ingest } = this.#options;
		row.state = ShardState.starting;
		this.#openAtStart = openDescriptors();
		// A thread and its connections take a while, which the rest need not wait for.
		const ingesting = ingest?.start(this.engine);
		row.set("ringBytes", bus.recordBytesMax * ringBytesPerRecordMax);
		if (address !== null) this.#port = await this.#sockets.listen(address);
		bus.onWake(() => {
			row.add("doorbells", 1);
			this.engine.wake();
		});
		this.#vitals.start();
		this.engine.start();
		await ingesting;
		row.state = ShardState.serving;
		ingest?.serving();
	}

	/**
	 * Takes nothing new, works off what it has, tells the clients to go. Resolves with what was cut off: messages that found no room,
	 * publishes whose body had not come, clients that did not read what they had to get.
	 */
	async drain(deadlineMs: number): Promise<number> {
		const { row, log } = this.#options;
		const deadline = new Deadline(deadlineMs);
		this.#draining = true;
		row.state = ShardState.draining;
		this.#sockets.stopListening();
		this.#publish.drain();
		const workMs = deadlineMs * workShare;
		await inTime(this.#sockets.bodies.whenNone(), workMs);
		await this.#options.ingest?.drain(workMs);
		await inTime(this.engine.whenEmpty(), workMs);
		const unpublished = this.#held.count + this.#sockets.bodies.count;
		const clock = { nowMs: () => performance.now(), pause };
		this.#console.close();
		const unread = await closeAll({
			clients: () => this.clients.snapshot(),
			close: (client, code) => this.clients.close(client, code),
			clientsPerSecond: this.#live.drainRate,
			deadlineMs: deadline.leftMs(),
			random: Math.random,
			...clock,
		});
		const leaving = this.#leaving.count;
		await lingered(this.#openAtStart, { deadlineMs: Math.min(lingerMsMax, deadline.leftMs()), open: openDescriptors, ...clock });
		log.debug({ unpublished, unread, leaving }, "drained");
		return unpublished + unread + leaving;
	}

	async stop(): Promise<void> {
		this.#draining = true;
		this.#vitals.stop();
		await this.#options.ingest?.stop();
		this.engine.stop();
		this.#intake?.close();
		this.#sockets.close();
		this.#options.bus.close();
	}

	#handlers(): SocketHandlers {
		const { row, log, connectionsMax, events } = this.#options;
		return {
			upgrade: (head, forwarded) => {
				const judged = judgeUpgrade(head, { allowedOrigins: this.#live.allowedOrigins, draining: this.#draining });
				if ("refused" in judged) return judged;
				const room = this.clients.count < connectionsMax ? this.#rooms.enter(judged.channels) : null;
				if (room !== null) return { data: this.clients.dataFor(room, this.#proxiedAddress(forwarded)) };
				row.add("refused", 1);
				return { refused: refusal("unavailable", `this shard has its ${connectionsMax} connections; try again`) };
			},
			opened: (client) => {
				this.clients.opened(client);
				events?.opened(client);
				if (log.level === "debug") log.debug({ address: addressOf(client) }, "client connected");
			},
			message: (client, message, isBinary) => this.#incoming.frame(client, message, isBinary),
			dropped: (client) => this.clients.dropped(client),
			drained: (client) => this.#leaving.drained(client),
			closed: (client, code, tooBig) => {
				this.clients.closed(client, code, tooBig);
				this.#incoming.closed(client);
				events?.closed(client, tooBig ? CloseCode.messageTooBig : client.leaving || code);
			},
			connections: (count) => {
				row.connections = count;
			},
			request: (method, path) => this.#request(method, path),
			requested: () => row.add("httpRequests", 1),
			watch: (head) => {
				if (this.#draining) return refusal("unavailable", "this server is shutting down; connect again");
				return mayWatch(head, this.#options.config.consoleToken) ? null : refusal("forbidden", consoleForbidden);
			},
			watching: (viewer) => this.#console.add(viewer),
			watchRequest: (viewer, message) => this.#console.request(viewer, message),
			unwatched: (viewer) => this.#console.remove(viewer),
			proxiedAddress: (head) => this.#proxiedAddress(head),
		};
	}

	#proxiedAddress(head: Parameters<typeof proxiedAddress>[0]): string | null {
		return proxiedAddress(head, this.#options.isProxy);
	}

	async #consoleSnapshot(busiest: readonly BusyChannel[]): Promise<ConsoleSnapshot> {
		const { board, config, consoleAnswer } = this.#options;
		const { events, parts } = await consoleAnswer(busiest.map(({ name }) => name));
		return consoleSnapshot(board, {
			version,
			open: this.#live.isKey === null,
			heartbeatTimeoutMs: config.heartbeatTimeoutMs,
			atMs: Date.now(),
			monotonicMs: monotonicMs(),
			channels: busiest,
			kafkaMode: config.kafkaMode,
			events,
			parts,
		});
	}

	#request(method: string, path: string): HttpReply | Promise<HttpReply> {
		const { board, config, metrics } = this.#options;
		const reads = method === "get" || method === "head";
		if (reads && path === "/health") {
			const report = healthReport(board, config);
			return json(report.status === "unhealthy" ? 503 : 200, report, { close: true });
		}
		if (reads && path === "/ready") {
			const report = readiness(board, config);
			return json(report.ready ? 200 : 503, report, { close: true });
		}
		if (reads && path === "/metrics") return metricsReply(metrics);
		return refusal("notFound", `there is nothing at ${method.toUpperCase()} ${path.slice(0, 200)}`);
	}
}

async function metricsReply(metrics: () => Promise<string>): Promise<HttpReply> {
	try {
		return { status: 200, type: metricsContentType, body: await metrics(), headers: {}, close: true };
	} catch (error) {
		return refusal("unavailable", (error as Error).message);
	}
}

/** Publishers over HTTP whose rate is remembered. */
const publishersMax = 10_000;
/** A turn's bytes as a share of what may wait for one client. */
const turnShareOfBuffer = 0.25;
/** See FlushPolicy. */
const pauseRatio = 1;
/** A ring takes records up to this part of it. */
const ringBytesPerRecordMax = 8;

/** Waits for the work, but no longer than that; whether it was done shows elsewhere. */
async function inTime(work: Promise<void>, deadlineMs: number): Promise<void> {
	await withDeadline(work, deadlineMs, "draining").catch(() => {});
}
