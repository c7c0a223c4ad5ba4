import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { MemoryBus } from "@shardcast/bus";
import { ChannelLog } from "@shardcast/channel-log";
import {
	type Certificate,
	type Config,
	checkRoute,
	type Failover,
	historyCapacity,
	parseAddress,
	ringCapacityBytes,
} from "@shardcast/config";
import {
	type Ask,
	answerCluster,
	type ClusterNode,
	type ClusterNodes,
	EventLog,
	type FailoverOrder,
	historyMetrics,
	metricsQuestion,
	noCertificateReloads,
	noReloads,
	PartAnswers,
	postgresRevocationMetrics,
	Questions,
	type ReloadCounts,
	RevocationStore,
	reloadMetrics,
	revokeQuestion,
	tlsMetrics,
	webhookMetrics,
} from "@shardcast/control";
import { GuardWatch, machineMeasures } from "@shardcast/guards";
import type { AssignedSession, AssignRequest, ClientRequest } from "@shardcast/http";
import { ShardIngest } from "@shardcast/kafka";
import { AddressTable, RateTable } from "@shardcast/limits";
import { type NodeEvents, ThisNode } from "@shardcast/nodes";
import { checkPostgres, openRevocations } from "@shardcast/postgres";
import { cannotListen, clientsThatFit, ProcessMonitor } from "@shardcast/process";
import { boardMetrics, ClusterState, Role, readBoard, Scoreboard } from "@shardcast/scoreboard";
import type { RebalancePlan } from "@shardcast/selection";
import { type Log, type MetricValues, ProcessMetrics, readValues } from "@shardcast/telemetry";
import { EventReader, EventWriter, eventRingInMemory, Webhooks } from "@shardcast/webhooks";
import { monotonicMs } from "@shardcast/wire";
import { Shard } from "../lifecycle/shard.ts";
import type { ShardOptions } from "../lifecycle/shard-options.ts";
import { failover } from "../nodes/failover.ts";
import { type Rebalance, type RebalanceOptions, rebalance, recommend } from "../nodes/rebalance.ts";
import { openRedis } from "../redis/open-redis.ts";
import type { SessionEvents } from "../sessions/sessions.ts";
import { version } from "../version.ts";
import { openWebhookBackend } from "../webhooks/webhook-backend.ts";

/** For events about a server that could not start, in milliseconds. */
const lastEventsMsMax = 1000;

interface HostParts {
	readonly config: Config;
	readonly certificates: readonly Certificate[];
	readonly log: Log;
	readonly events: SessionEvents;
	readonly handlerDeadlineMs: number | undefined;
	/** Told what other machines do, where there is Redis. */
	readonly nodeEvents: NodeEvents;
	/** Stops the server: a failover was ordered. */
	readonly failover: (strategy: Failover | undefined) => void;
}

/**
 * What a shard needs around it when there is no supervisor: a scoreboard and a bus in this process's memory, with nobody else
 * on them. Several hosts in one process know nothing of each other.
 */
export class Host {
	readonly #ingest: ShardIngest | null;
	readonly shard: Shard;
	readonly #questions: Questions;
	/** What has happened to the server, for its console. */
	readonly events = new EventLog();
	/** Attempts to change options. */
	readonly reloads: ReloadCounts = noReloads();
	readonly certificateReloads = noCertificateReloads();
	#certificates: readonly Certificate[];
	readonly #parts: HostParts;
	readonly #board = Scoreboard.inMemory(1);
	readonly #monitor = new ProcessMonitor();
	readonly #revocations: RevocationStore;
	/** Null where it works alone. */
	readonly #node: ThisNode | null;
	readonly #own = new ProcessMetrics("shard-0", 0);
	readonly #webhooks: Webhooks;
	readonly #guards: GuardWatch;

	constructor(parts: HostParts) {
		const { config, certificates, log, events, handlerDeadlineMs } = parts;
		this.#parts = parts;
		this.#certificates = certificates;
		const row = this.#board.row(0);
		row.role = Role.shard;
		row.core = -1;
		row.incarnation = 1;
		row.pid = process.pid;
		row.connectionsGiven = config.maxConnections;
		const answers = new PartAnswers();
		const nodes = () => this.#node?.control ?? null;
		const questions = new Questions({ processes: () => [], own: { name: "shard-0", answers }, nodes });
		this.#questions = questions;
		const database = openRevocations(config, log);
		// Several nodes share one list, so the node writes it.
		const isShared = config.redisAddress !== undefined;
		const revocations = new RevocationStore({ folder: config.durableStorePath, database: isShared ? null : database, isShared, log });
		this.#revocations = revocations;
		if (database !== null) this.#own.addReading(postgresRevocationMetrics, () => database.reading());
		answerCluster({
			questions,
			board: () => readBoard(this.#board),
			own: this.#own,
			events: this.events,
			revocations: () => this.#node?.revocations ?? revocations,
			nodes: () => this.nodes(),
			orders: () => this.#node?.orders ?? null,
			sessions: async (requests) => this.#node?.sessions.assign(requests) ?? [],
			nodesNow: async () => (await this.#node?.nodesNow()) ?? null,
		});
		const board = this.#board;
		const common = { config, version, board, log, questions, revocations, database };
		this.#node = ThisNode.create({
			...common,
			metrics: this.#own,
			console: this.events,
			events: parts.nodeEvents,
			stop: parts.failover,
			onReport: (report) => this.#webhooks.nodeChanged(report),
		});
		this.#own.addReading(reloadMetrics, () => this.reloads);
		this.#own.addReading(tlsMetrics, () => ({ certificates: this.#certificates, reloads: this.certificateReloads }));
		let ring: ReturnType<typeof eventRingInMemory> | null = null;
		const eventRing = () => (ring ??= eventRingInMemory());
		this.#webhooks = new Webhooks({
			config,
			open: openWebhookBackend,
			readers: () => new Map([[0, new EventReader(eventRing())]]),
			log,
			tell: (level, text) => this.events.add(level, text),
			newStream: randomUUID,
		});
		this.#own.addReading(webhookMetrics, () => this.#webhooks.readings());
		const bus = new MemoryBus({ members: 1, capacityBytes: ringCapacityBytes(config) }).link(0);
		this.#ingest = ShardIngest.create({
			config,
			slot: 0,
			incarnation: 1,
			shardsTotal: 1,
			cluster: null,
			bus,
			log,
			row,
			isPaused: () => board.guards.pauses(monotonicMs()),
		});
		this.#guards = new GuardWatch({
			...{ board, config, log },
			// The row has the CPU time of this process.
			measures: machineMeasures({ folder: null, ownCpuMs: () => 0 }),
			tell: (level, text) => this.events.add(level, text),
			names: { process: "shard", whole: "the server" },
		});
		this.shard = createShard(
			{
				config,
				board: this.#board,
				row,
				connectionsFit: clientsThatFit(),
				bus,
				openHistory: (committed) => {
					const history = ChannelLog.inMemory(historyCapacity(config), { committed });
					this.#own.addReading(historyMetrics, () => ({ ...history.counts(), locksFreed: 0, fill: history.fill() }));
					return history;
				},
				ingest: this.#ingest,
				certificates,
				redis: openRedis(config, "shard-0", log),
				address: parseAddress(config.addr),
				handoff: null,
				isProxy: null,
				rates: RateTable.inMemory(),
				openClientEvents: () => new EventWriter(eventRing()),
				openAddresses: () => AddressTable.ofProcess(config.maxConnections),
				log,
				sample: (beatLateMs) => this.#monitor.sample(beatLateMs),
				ask: this.ask,
				parts: answers,
				metrics: this.#own,
				events,
				...(handlerDeadlineMs !== undefined && { handlerDeadlineMs }),
			},
			() => this.#webhooks.stop(),
		);
	}

	/** Brings the options into force that can change while it runs. @throws when the shard cannot work with them; nothing has changed then. */
	reload(config: Config): void {
		const commit = this.shard.prepare(config);
		this.#board.row(0).connectionsGiven = config.maxConnections;
		this.#webhooks.reload(config);
		this.#guards.reload(config);
		commit();
	}

	/** New connections get these certificates. @throws Error when one cannot be used; nothing has changed then. */
	useCertificates(certificates: readonly Certificate[]): void {
		this.shard.useCertificates(certificates);
		this.#certificates = certificates;
	}

	get connections(): number {
		return this.#board.row(0).webSockets;
	}

	/** Messages taken in since the start. */
	get messages(): number {
		return this.#board.row(0).get("messagesIn");
	}

	/** Null where it works alone. */
	nodes(): ClusterNodes | null {
		return this.#node?.nodes() ?? null;
	}

	/** Rejects when this server works alone, or no node can take the client. */
	async selectNode(request: ClientRequest): Promise<ClusterNode> {
		return this.shard.selection.place(this.#known(), request, false);
	}

	/** Rejects like `selectNode`, and when there is no such node. */
	async assignSession(request: AssignRequest): Promise<AssignedSession<ClusterNode>> {
		return this.shard.selection.assign(this.#known(), request, false);
	}

	/** @throws Error when this server works alone. */
	rebalanceRecommendation(options: RebalanceOptions): RebalancePlan {
		return recommend(this.#known(), this.shard.config, options);
	}

	/** Rejects when this server works alone, or when a node may not have begun. */
	async rebalance(options: RebalanceOptions): Promise<Rebalance> {
		return rebalance(this.ask, await this.#knownNow(), this.shard.config, options);
	}

	/** Rejects when this server works alone, when there is no such node or no other one to take its clients, or when it may not have the order. */
	async failover(order: FailoverOrder): Promise<void> {
		await failover(this.ask, await this.#knownNow(), order);
	}

	/** After asking Redis which nodes are connected: clients must not be sent to one that was killed a moment ago. Rejects when this server works alone. */
	async #knownNow(): Promise<ClusterNodes> {
		return (await this.#node?.nodesNow()) ?? this.#known();
	}

	/** @throws Error when this server works alone. */
	#known(): ClusterNodes {
		const known = this.nodes();
		if (known === null) throw new Error("this server works alone: it has no Redis (redisAddress)");
		return known;
	}

	/** The route module has changed, and can be loaded. */
	reloadRoute(): void {
		this.#ingest?.reloadRoute();
	}

	/**
	 * If it fails, nothing of the server is left.
	 * @throws StartupError when it cannot listen or may not join the other machines, ConfigError when the route module cannot be loaded.
	 */
	async start(): Promise<void> {
		try {
			await this.#begin();
		} catch (error) {
			// It may have been reported as joined.
			await this.#node?.leave();
			await this.#webhooks.drain(lastEventsMsMax);
			await this.close();
			throw error;
		}
	}

	/** Ends everything at once, also of a server that was not started: the constructor opens connections to Redis. */
	async close(): Promise<void> {
		this.#guards.stop();
		this.#webhooks.stop();
		await this.#node?.leave();
		this.#revocations.stop();
		await this.shard.stop();
		this.#monitor.stop();
	}

	async #begin(): Promise<void> {
		const { config } = this.#parts;
		const { addr } = config;
		await checkRoute(config, (key) => key);
		await checkPostgres(config, this.#parts.log);
		await this.#revocations.start(config.postgresConnectTimeoutMs, () => {
			void this.#questions.partsForNode(revokeQuestion.name, "all").catch(() => undefined);
		});
		await this.#node?.join();
		this.#monitor.start();
		try {
			await this.shard.start();
		} catch (error) {
			throw cannotListen(error, parseAddress(addr), "--addr");
		}
		this.#board.row(0).port = this.shard.port;
		this.#board.clusterState = ClusterState.serving;
		this.#guards.start();
		this.#node?.serving({ ...parseAddress(addr), port: this.shard.port });
	}

	/**
	 * Stops in order and resolves with what was cut off: messages and clients that could not be served to the end.
	 * @param drainDelayMs for which only /ready says so. @param immediate the clients are closed first, all at once.
	 */
	async stop(drainDelayMs: number, timeoutMs: number, immediate: boolean): Promise<number> {
		this.#board.clusterState = ClusterState.stopping;
		this.#node?.draining();
		if (drainDelayMs > 0) await sleep(drainDelayMs);
		try {
			const endMs = performance.now() + timeoutMs;
			const cutOff = await this.shard.drain(timeoutMs, immediate);
			// The webhooks report this, too.
			await this.#node?.leave();
			return cutOff + (await this.#webhooks.drain(endMs - performance.now()));
		} finally {
			await this.close();
		}
	}

	/** Puts a question to the shard. */
	readonly ask: Ask = (question, request) => this.#questions.ask(question, request);

	/** What `GET /metrics` answers. */
	metrics(): Promise<string> {
		return this.#questions.ask(metricsQuestion, null);
	}

	/** All metrics as values. */
	async values(): Promise<MetricValues[]> {
		return [...readValues(boardMetrics, readBoard(this.#board)), ...(await this.#own.values())];
	}
}

/** One that cannot be created leaves no connection, which would be opened again and again, and no file. @param onFailure called then. */
function createShard(options: ShardOptions, onFailure: () => void): Shard {
	const opened: (() => unknown)[] = [];
	try {
		return new Shard({ ...options, onOpened: (close) => opened.push(close) });
	} catch (error) {
		for (const close of opened) Promise.resolve(close()).catch(() => undefined);
		options.redis?.client.close();
		onFailure();
		throw error;
	}
}
