import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { type Address, type Config, type Failover, formatDuration, nodeIdOf, redisNamesOf } from "@shardcast/config";
import {
	type ClusterNode,
	type ClusterNodes,
	type EventLog,
	moveClientsQuestion,
	type NodeState,
	nodeControlMetrics,
	nodeMetrics,
	type Questions,
	type RevocationDatabase,
	type RevocationStore,
	rebalanceMetrics,
	redisMetrics,
	revokeQuestion,
	type ScaleEvent,
	scaleMetrics,
	sessionMetrics,
	sharedRevocationMetrics,
} from "@shardcast/control";
import { pidNamespace, processStartTicks } from "@shardcast/native";
import { StartupError, withDeadline } from "@shardcast/process";
import { Redis, type RedisError, type ServerInfo } from "@shardcast/redis";
import { healthStatus, type NodeSummary, readBoard, type Scoreboard } from "@shardcast/scoreboard";
import { takesClients } from "@shardcast/selection";
import type { Log, ProcessMetrics } from "@shardcast/telemetry";
import { NodeControl } from "./control/node-control.ts";
import { NodePresence } from "./control/node-presence.ts";
import { LoadMeter } from "./load-meter.ts";
import { Membership, NodeIdTaken, type NodeReport } from "./membership.ts";
import { publicNode } from "./node-record.ts";
import type { LeftReason, NodeChanges } from "./node-view.ts";
import { ClientMover } from "./orders/client-mover.ts";
import { Orders } from "./orders/orders.ts";
import { clientUrl, ownAddress } from "./own-address.ts";
import { missingPermissions } from "./permissions.ts";
import { nodeKeysOf, redisOptionsOf } from "./redis-from-config.ts";
import { KnownPosition } from "./revocations/known-position.ts";
import { SharedRevocations } from "./revocations/shared-revocations.ts";
import { ScaleEvents } from "./scale/scale-events.ts";
import { loadOf } from "./scale/scale-watch.ts";
import { NodeSessions } from "./sessions/node-sessions.ts";

/** What other machines do, for whoever wants to know. */
export interface NodeEvents {
	joined(node: ClusterNode): void;
	left(node: ClusterNode, reason: LeftReason): void;
	/** Something but its load has changed. */
	updated(node: ClusterNode): void;
	/** The cluster should grow or shrink. Once per cluster: only the node that has announced it is told. */
	scale(event: ScaleEvent): void;
}

interface ThisNodeParts {
	readonly config: Config;
	readonly version: string;
	/** Its health and load are read from it, and its state is written to it, for /health. */
	readonly board: Scoreboard;
	readonly metrics: Pick<ProcessMetrics, "addReading">;
	readonly log: Pick<Log, "info" | "warn" | "error">;
	readonly console: Pick<EventLog, "add">;
	readonly events?: NodeEvents;
	/** Told what has happened to nodes, this one included: each time one node of the cluster is told. */
	readonly onReport?: (report: NodeReport) => void;
	/** Stops this server in order. @param strategy absent = as its options say. */
	readonly stop: (strategy: Failover | undefined) => void;
	/** Answers questions of other nodes, and puts some to this node's shards. */
	readonly questions: Pick<Questions, "partsForNode" | "ask">;
	/** Blocked users and revoked tokens that this node keeps. */
	readonly revocations: RevocationStore;
	/** Where they outlive Redis and all nodes; null = nowhere. */
	readonly database: RevocationDatabase | null;
}

/** The last message to Redis must not hold up the end. */
const leaveMsMax = 1000;
const leftBecause: Readonly<Record<LeftReason, string>> = {
	timeout: "its heartbeats stopped",
	stopped: "it was stopped",
	replaced: "another process has taken its place",
};

/** This machine among several: its connection to Redis, its membership, and what people are told of both. In the process that lives as long as the server. */
export class ThisNode {
	readonly id: string;
	readonly #parts: ThisNodeParts;
	readonly #redis: Redis;
	readonly #membership: Membership;
	/** Puts questions to the other nodes. */
	readonly control: NodeControl;
	/** Blocked users and revoked tokens of all nodes. */
	readonly revocations: SharedRevocations;
	/** Orders to this node and to others. */
	readonly orders: Orders;
	readonly #mover: ClientMover;
	readonly #scale: ScaleEvents;
	/** Which nodes clients belong to. */
	readonly sessions: NodeSessions;
	readonly #presence: NodePresence;
	readonly #load = new LoadMeter();
	#address = "";
	#url = "";
	/** `join` is over. */
	#joined = false;
	#wasMember = false;
	#leaving: Promise<void> | null = null;
	#status: "starting" | "serving" | "draining" = "starting";

	/** Null where no Redis is configured. @throws when a certificate cannot be read. */
	static create(parts: ThisNodeParts): ThisNode | null {
		return parts.config.redisAddress === undefined ? null : new ThisNode(parts);
	}

	private constructor(parts: ThisNodeParts) {
		const { config, metrics, log } = parts;
		this.#parts = parts;
		this.id = nodeIdOf(config);
		this.#redis = new Redis(redisOptionsOf(config, `shardcast:${this.id}`)!, log);
		const keys = nodeKeysOf(config);
		const own = { id: this.id, instance: randomUUID() };
		this.#membership = new Membership({
			redis: this.#redis,
			keys,
			own: { ...own, process: ownProcess() },
			heartbeatMs: config.nodeHeartbeatMs,
			timeoutMs: config.nodeTimeoutMs,
			describe: () => this.#describe(),
			onState: (state, afterMs) => this.#onState(state, afterMs),
			onChanges: (changes) => this.#onChanges(changes),
			...(parts.onReport !== undefined && { onReport: parts.onReport }),
			onLook: () => {
				if (this.#membership.state === "member") void this.#scale.look(this.nodes().nodes);
			},
		});
		this.#scale = new ScaleEvents({
			redis: this.#redis,
			keys,
			id: this.id,
			rules: {
				upAt: config.scaleUpAt,
				downAt: config.scaleDownAt,
				minNodes: config.scaleMinNodes,
				maxNodes: config.scaleMaxNodes,
				holdMs: config.scaleHoldMs,
			},
			onEvent: (event) => this.#onScale(event),
		});
		this.#presence = new NodePresence({ redis: this.#redis, keys, others: () => this.#membership.others });
		this.control = new NodeControl({
			redis: this.#redis,
			keys,
			own,
			others: () => this.#membership.others,
			answer: async (question, request) => {
				// Not the change that the other node tells, but all that are in Redis: so none is missed, and the order is the same everywhere.
				if (question === revokeQuestion.name) return [await this.revocations.catchUp()];
				return this.orders.answer(question, request) ?? parts.questions.partsForNode(question, request);
			},
			log,
		});
		this.#mover = new ClientMover({
			id: this.id,
			connections: () => new Map(readBoard(parts.board).shards.map(({ slot, connections }) => [slot, connections])),
			takesClients: (id) => this.nodes().nodes.some((node) => node.id === id && takesClients(node)),
			move: (bySlot) => parts.questions.ask(moveClientsQuestion, { bySlot }),
			tell: (level, text) => this.#tell(level, text),
		});
		this.orders = new Orders({
			id: this.id,
			state: () => this.#membership.state,
			ask: (question, request, deadlineMs) => this.control.ask(question, request, deadlineMs),
			mover: this.#mover,
			takers: () => this.nodes().nodes.filter((node) => node.id !== this.id && takesClients(node)),
			leave: (strategy) => {
				this.#tell("info", `node ${this.id}: a failover was ordered; it stops`);
				setImmediate(() => parts.stop(strategy));
			},
		});
		this.revocations = new SharedRevocations({
			redis: this.#redis,
			keys,
			kept: parts.revocations,
			known: new KnownPosition(config.durableStorePath),
			database: parts.database,
			apply: async (change) => {
				const ended = (await parts.questions.partsForNode(revokeQuestion.name, change)) as readonly number[];
				return ended.reduce((sum, each) => sum + each, 0);
			},
			everyMs: config.nodeHeartbeatMs,
			log,
		});
		this.sessions = new NodeSessions({ redis: this.#redis, keys, ttlMs: config.sessionTtlMs });
		metrics.addReading(sessionMetrics, () => this.sessions.counts);
		metrics.addReading(sharedRevocationMetrics, () => ({ ...this.revocations.counts, pending: this.revocations.pending }));
		metrics.addReading(nodeControlMetrics, () => this.control.counts);
		metrics.addReading(nodeMetrics, () => ({ ...this.#membership.counts, seen: this.#membership.nodes() }));
		metrics.addReading(rebalanceMetrics, () => ({ ...this.#mover.counts, pending: this.#mover.pending }));
		metrics.addReading(scaleMetrics, () => ({ ...this.#scale.counts, load: loadOf(this.nodes().nodes).load }));
		metrics.addReading(redisMetrics, () => this.#redis);
		this.#show();
	}

	/** Which machines there are, as this one knows them. */
	nodes(): ClusterNodes {
		void this.#presence.look();
		const known = this.#membership.nodes();
		const { away } = this.#presence;
		if (away.size === 0) return known;
		const ids = new Set(this.#membership.others.filter(({ instance }) => away.has(instance)).map(({ id }) => id));
		return { ...known, nodes: known.nodes.map((node) => (ids.has(node.id) ? { ...node, away: true } : node)) };
	}

	/** The same, after asking Redis which of them are connected to it; takes 0.2 s at most. */
	async nodesNow(): Promise<ClusterNodes> {
		await this.#presence.look();
		return this.nodes();
	}

	/**
	 * Joins the other machines, before it serves: so an id that is taken is found out at once. Without Redis it serves its clients alone, and joins when
	 * Redis is reached.
	 * @throws StartupError when Redis refuses the login, a command or a key, or will not do, or another machine has the id.
	 */
	async join(): Promise<void> {
		const { config, log } = this.#parts;
		this.#redis.open();
		try {
			await this.#redis.ready(config.redisConnectTimeoutMs);
		} catch (error) {
			const { kind, message } = error as RedisError;
			if (kind === "login" || kind === "unsuitable") {
				this.#redis.close();
				throw new StartupError(`--redis-url: ${message}`, { flag: "--redis-url", cause: error });
			}
			this.#tell("bad", `${message}; node ${this.id} ${this.#refuses ? "refuses clients" : "serves its clients alone"}, and tries again`);
		}
		await this.#checkPermissions();
		// Before it has clients that the others could want to reach.
		await this.control.start();
		try {
			await this.#membership.claim();
		} catch (error) {
			if (!(error instanceof NodeIdTaken)) throw error;
			this.#redis.close();
			const who = error.holder?.address ? `, at ${error.holder.address}` : "";
			throw new StartupError(`--node-id: the id "${this.id}" is in use by another node${who}; give each node its own id`, {
				flag: "--node-id",
				cause: error,
			});
		}
		this.#joined = true;
		this.#membership.start();
		await this.revocations.start(config.postgresConnectTimeoutMs);
		// Before it has clients that may be blocked.
		await withDeadline(this.revocations.catchUp(), config.redisTimeoutMs, "reading the list").catch((error: Error) => {
			log.warn(`blocked users and revoked tokens of other nodes are not known yet: ${error.message}`);
		});
		if (this.#redis.server !== null) this.#tellAbout(this.#redis.server);
	}

	#tellAbout({ name, version, eviction }: ServerInfo): void {
		const { where } = this.#redis;
		this.#parts.log.info(`Redis at ${where}: ${name} ${version}`);
		if (eviction === null) return;
		const advice = `histories, idempotency keys and nodes may disappear. Set maxmemory-policy to noeviction, or use a separate Redis`;
		this.#tell("warn", `Redis at ${where} removes keys when its memory is full (${eviction}): ${advice}`);
	}

	/** @throws StartupError when Redis does not permit something that a node does. */
	async #checkPermissions(): Promise<void> {
		if (this.#redis.state !== "ready") return;
		const { config, log } = this.#parts;
		const missing = await missingPermissions(this.#redis, nodeKeysOf(config), redisNamesOf(config)).catch((error: Error) => {
			log.warn(`the permissions in Redis are not checked: ${error.message}`);
			return null;
		});
		if (missing === null) return;
		this.#redis.close();
		const text = `--redis-url: cannot use Redis at ${this.#redis.where}: ${missing}; see "Permissions" in docs/reference/nodes.md`;
		throw new StartupError(text, { flag: "--redis-url" });
	}

	/** It serves now. @param listens where, with the port that it really has. */
	serving(listens: Address): void {
		this.#address = this.#parts.config.nodeAddress || ownAddress(listens);
		this.#url = clientUrl(this.#parts.config, listens);
		this.#status = "serving";
		this.#membership.changed();
	}

	/** It takes no new clients from now on. */
	draining(): void {
		this.#mover.stop();
		this.#status = "draining";
		this.#membership.changed();
	}

	/** Tells the others that it is gone, once. Takes a second at most. */
	leave(): Promise<void> {
		this.#leaving ??= this.#leave();
		return this.#leaving;
	}

	async #leave(): Promise<void> {
		this.#mover.stop();
		this.revocations.stop();
		// The others find out by themselves.
		await withDeadline(this.#membership.leave(), leaveMsMax, "leaving").catch(() => undefined);
		this.#redis.close();
	}

	#describe() {
		const { board, config, version } = this.#parts;
		const reading = readBoard(board);
		// Why it is no member may have changed.
		this.#show();
		return {
			facts: {
				address: this.#address,
				url: this.#url,
				region: config.nodeRegion,
				version,
				status: this.#status,
				health: healthStatus(board),
				shards: reading.shards.length,
				maxConnections: reading.shards.reduce((sum, { connectionsMax }) => sum + connectionsMax, 0),
				weight: config.nodeWeight,
			},
			load: this.#load.read(reading),
		};
	}

	/** Into shared memory, from where any process answers /health. */
	#show(): void {
		const { state, reason } = this.#membership;
		const glance: NodeSummary = { id: this.id, state, nodes: this.#membership.nodes().nodes.length };
		const refuses = this.#refuses && state !== "member" && state !== "left";
		this.#parts.board.node = reason === null ? glance : { ...glance, ...(refuses && { refuses }), reason };
	}

	/** Whether it refuses clients while it is no member. */
	get #refuses(): boolean {
		return this.#parts.config.cutOffPolicy === "refuse";
	}

	#onState(state: NodeState, afterMs: number): void {
		this.#show();
		if (state !== "member") this.#scale.interrupted();
		const { reason } = this.#membership;
		const { config } = this.#parts;
		const known = `${this.#redis.where}, heartbeat every ${formatDuration(config.nodeHeartbeatMs)}`;
		if (state === "member") {
			const again = this.#wasMember ? `is back among the other nodes after ${(afterMs / 1000).toFixed(1)} s` : `has joined: ${known}`;
			this.#wasMember = true;
			this.#tell("info", `node ${this.id} ${again}`);
		} else if (state === "taken" && !this.#joined)
			this.#tell("warn", `node ${this.id}: ${reason}; waiting to see whether it is still there`);
		else if (state === "cutOff" || state === "taken")
			this.#tell("bad", `node ${this.id}: ${reason}; its own clients are served on${this.#refuses ? ", new ones are refused" : ""}`);
	}

	#onChanges({ joined, left, updated }: NodeChanges): void {
		this.#show();
		const { events } = this.#parts;
		for (const { node, reason } of left) {
			this.#tell(reason === "timeout" ? "warn" : "info", `node ${node.id} left: ${leftBecause[reason]}`);
			events?.left(publicNode(node), reason);
		}
		for (const node of joined) {
			const { id, address, region, status } = node;
			this.#tell("info", `node ${id} joined: ${[address || "no address yet", region, status].filter((part) => part !== "").join(", ")}`);
			events?.joined(publicNode(node));
		}
		for (const node of updated) {
			this.#tell("info", `node ${node.id} is ${node.status}${node.status === "serving" ? ` and ${node.health}` : ""}`);
			events?.updated(publicNode(node));
		}
	}

	#onScale(event: ScaleEvent): void {
		const { type, connections, maxConnections, nodes, load } = event;
		const wanted = type === "scaleUp" ? "add a node" : "one node fewer is enough";
		const percent = (load * 100).toFixed(0);
		this.#tell("info", `${type}: ${wanted}; ${nodes} nodes have ${connections} of ${maxConnections} connections, ${percent} %`);
		this.#parts.events?.scale(event);
		this.#parts.onReport?.({ type, event });
	}

	#tell(level: "info" | "warn" | "bad", text: string): void {
		const { log, console } = this.#parts;
		log[level === "bad" ? "error" : level](text);
		console.add(level, text);
	}
}

function ownProcess() {
	return { boot: bootId(), pidNamespace: pidNamespace(), pid: process.pid, startTicks: processStartTicks(process.pid) };
}

/** Changes with each start of the machine, and is the same in all its containers. Random where the kernel has none. */
function bootId(): string {
	try {
		return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
	} catch {
		return randomUUID();
	}
}
