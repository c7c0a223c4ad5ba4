import { Heartbeat, monotonicMs } from "@shardcast/wire";
import type { BoardRow } from "./rows/board-row.ts";
import { type GuardAction, type GuardName, type GuardReading, type GuardUnit, guardAmount, guardSentence } from "./rows/guard-words.ts";
import type { Scoreboard } from "./scoreboard.ts";
import {
	type BalancerAffinity,
	BalancerMode,
	type BalancerStrategy,
	ClusterState,
	type ShardOverload,
	ShardState,
	type ShardTrouble,
	shardTroubles,
} from "./scoreboard-descriptor.ts";

type HealthStatus = "healthy" | "degraded" | "unhealthy";
type MemberStatus = HealthStatus | "starting" | "draining";

/** The JSON answer to `GET /health`. */
export interface HealthReport {
	readonly status: HealthStatus;
	/** Why it is not "healthy", one sentence each. */
	readonly reasons: readonly string[];
	readonly mode: "handoff" | "proxy" | "none";
	/** How the balancer chooses a shard; absent while there is none. */
	readonly placement?: { readonly strategy: BalancerStrategy; readonly affinity: BalancerAffinity };
	/** Whether clients, publishers and users of the console must authenticate. From the options, so the same in every process. */
	readonly auth: "required" | "open";
	readonly mayPublish: {
		readonly http: "everyone" | "key" | "nobody";
		readonly webSocket: "everyone" | "permitted" | "nobody";
	};
	readonly connections: number;
	readonly maxConnections: number;
	/** Connections in use, 0 to 1. */
	readonly utilisation: number;
	/** The resource guards that act now; absent = none. */
	readonly guards?: readonly ActingGuard[];
	/** It stops soon: load balancers should send no new clients. */
	readonly draining: boolean;
	/** This node of a cluster of several; absent if it works alone. */
	readonly node?: NodeSummary;
	readonly shards: readonly ShardHealth[];
	/** Shards of other machines that get clients of this balancer, too; absent = there are none, or who answers does not know of them. */
	readonly remoteShards?: readonly RemoteShardHealth[];
	readonly balancer: { readonly pid: number; readonly status: MemberStatus | "none" };
}

/** A resource guard that acts. */
export interface ActingGuard {
	/** As in the section `guards` of the options. */
	readonly name: GuardName;
	/** Absent = it is about the whole cluster. */
	readonly shard?: number;
	readonly action: GuardAction;
	/** ISO 8601. */
	readonly since: string;
	readonly value: number;
	/** It acts from here on. */
	readonly threshold: number;
	readonly unit: GuardUnit;
}

/** A summary of what a node of several knows of itself. */
export interface NodeSummary {
	readonly id: string;
	readonly state: "joining" | "member" | "cutOff" | "taken" | "left";
	/** Why it is no member. */
	readonly reason?: string;
	/** It refuses new clients and subscriptions until it is a member; absent = it does not. */
	readonly refuses?: true;
	/** Number of nodes that it knows, including itself. */
	readonly nodes: number;
}

/** A shard of another machine, or all of a machine, as the balancer here sees it. */
export interface RemoteShardHealth {
	/** host:port, as in the options. */
	readonly id: string;
	readonly status: "healthy" | "starting" | "draining" | "unavailable";
	/** Why it is not "healthy", as the rest of a sentence after its name. */
	readonly reason?: string;
	/** As it last said itself, whichever way they came. */
	readonly connections: number;
	readonly max: number;
	/** Connections through this balancer. */
	readonly open: number;
	readonly weight: number;
}

export interface ShardHealth {
	readonly id: number;
	readonly pid: number;
	/** CPU; null if it is not pinned. */
	readonly core: number | null;
	readonly port: number;
	readonly status: MemberStatus;
	/** Why it is not "healthy". */
	readonly reason?: string;
	readonly connections: number;
	readonly max: number;
	readonly utilisation: number;
	readonly restarts: number;
	/** Its share of new clients compared with the others; absent = 1. */
	readonly weight?: number;
	/** What it has too little of, so that it gets no new clients while another shard is not overloaded (--lb-strategy adaptive). */
	readonly overloaded?: readonly ShardOverload[];
}

interface ReadinessOptions {
	/** `monotonicMs()` by default. */
	readonly nowMs?: number;
	/** What sentences call the processes behind the balancer, and all together; "shard" and "cluster" by default. */
	readonly names?: Names;
}

interface Names {
	readonly process: string;
	readonly whole: string;
}

export interface HealthOptions extends ReadinessOptions, Pick<HealthReport, "auth" | "mayPublish"> {
	/** Shards of other machines; none by default. */
	readonly remotes?: readonly RemoteShardHealth[];
}

/** The JSON answer to `GET /ready`. */
interface Readiness {
	readonly ready: boolean;
	readonly reasons: readonly string[];
	/** The guards that act now; absent = none. They do not make it unready: an orchestrator would send their clients to others, and overload these. */
	readonly guards?: readonly ActingGuard[];
}

/** A shard or cluster with a larger share of its connections in use is "degraded". */
const utilisationMax = 0.9;

const ofShards: Names = { process: "shard", whole: "cluster" };
const troubleSentences = new Map<ShardTrouble, string>(shardTroubles);
const modeNames = { [BalancerMode.none]: "none", [BalancerMode.handoff]: "handoff", [BalancerMode.proxy]: "proxy" } as const;

/** The state of the whole cluster, read from the scoreboard in any process. */
export function healthReport(
	board: Scoreboard,
	{ auth, mayPublish, nowMs = monotonicMs(), names = ofShards, remotes = [] }: HealthOptions,
): HealthReport {
	const rows = board.rows();
	const shards = rows.map((row) => shardHealth(row, nowMs));
	const connections = shards.reduce((sum, shard) => sum + shard.connections, 0);
	// The others have the share of a drained one.
	const takers = shards.filter((_, at) => !rows[at]!.isDrained);
	const maxConnections = takers.reduce((sum, shard) => sum + shard.max, 0);
	const balancer = balancerHealth(board, nowMs);
	const reasons: string[] = [];
	if (board.clusterState === ClusterState.stopping) reasons.push(`the ${names.whole} is stopping`);
	if (connections > utilisationMax * maxConnections) reasons.push(`${percent(connections, maxConnections)} of all connections are in use`);
	for (const shard of shards) if (shard.status !== "healthy") reasons.push(`${names.process} ${shard.id}: ${shard.reason}`);
	if (balancer.reason !== undefined) reasons.push(`balancer: ${balancer.reason}`);
	const guards = actingGuards(board, nowMs);
	for (const guard of guards) reasons.push(guardReason(guard, names));
	const { node } = board;
	if (node?.reason !== undefined) reasons.push(`node ${node.id}: ${node.reason}`);
	for (const { id, status, reason } of remotes) if (status === "unavailable") reasons.push(`remote shard ${id} ${reason}`);
	const isThere = ({ status }: RemoteShardHealth) => status === "healthy";
	const serves = shards.some(({ status }) => status === "healthy" || status === "degraded") || remotes.some(isThere);
	if (!serves) reasons.push(`no ${names.process} serves`);
	return {
		status: !serves ? "unhealthy" : reasons.length > 0 ? "degraded" : "healthy",
		reasons,
		mode: modeNames[board.balancer.mode],
		...placementOf(board),
		auth,
		mayPublish,
		connections,
		maxConnections,
		utilisation: ratio(connections, maxConnections),
		draining: board.clusterState === ClusterState.stopping,
		...(guards.length === 0 ? {} : { guards }),
		...(node === null ? {} : { node }),
		shards,
		...(remotes.length === 0 ? {} : { remoteShards: remotes }),
		balancer: { pid: board.balancer.pid, status: balancer.status },
	};
}

/** Only the status, without what depends on who asks. */
export function healthStatus(board: Scoreboard): HealthStatus {
	return healthReport(board, { auth: "open", mayPublish: { http: "nobody", webSocket: "nobody" } }).status;
}

/** Whether every shard serves that is not drained. Orchestrators ask this before they send traffic. */
export function readiness(board: Scoreboard, { nowMs = monotonicMs(), names = ofShards }: ReadinessOptions = {}): Readiness {
	const rows = board.rows();
	const shards = rows.map((row) => shardHealth(row, nowMs));
	const serves = ({ status }: ShardHealth) => status === "healthy" || status === "degraded";
	// A shard that is drained or replaced on purpose is not missed as long as there is another one. When that ends, its mark is removed before it hears of it.
	const others = shards.filter((_, at) => !rows[at]!.isDrained && rows[at]!.state !== ShardState.draining);
	const reasons = (others.some(serves) ? others : shards)
		.filter((shard) => !serves(shard))
		.map(({ id, reason }) => `${names.process} ${id}: ${reason}`);
	if (shards.length === 0) reasons.push(`there are no ${names.process}s yet`);
	if (board.clusterState === ClusterState.stopping) reasons.push(`the ${names.whole} is stopping`);
	const { node } = board;
	if (node?.refuses === true) reasons.push(`node ${node.id} refuses clients: ${node.reason}`);
	const guards = actingGuards(board, nowMs);
	return { ready: reasons.length === 0, reasons, ...(guards.length === 0 ? {} : { guards }) };
}

/** The guards that act, those of the whole cluster first. */
export function actingGuards(board: Pick<Scoreboard, "guards" | "rows">, nowMs: number): ActingGuard[] {
	const sinceEpochMs = Date.now() - nowMs;
	const shown = ({ name, action, sinceMs, value, threshold, unit }: GuardReading, shard?: number): ActingGuard => ({
		name,
		...(shard === undefined ? {} : { shard }),
		action,
		since: new Date(Math.round((sinceEpochMs + sinceMs) / 1000) * 1000).toISOString(),
		value: Math.round(value * 10) / 10,
		threshold,
		unit,
	});
	return [
		...board.guards.acting(nowMs).map((guard) => shown(guard)),
		...board.rows().flatMap((row) => row.guards.acting(nowMs).map((guard) => shown(guard, row.slot))),
	];
}

/** "shard 1 refuses new clients since 12:00:05 UTC: delay of the event loop 812 ms (guards.loop_lag: 500 ms)" */
export function guardReason({ name, shard, action, since, value, threshold, unit }: ActingGuard, names: Names = ofShards): string {
	const who = shard === undefined ? `the ${names.whole}` : `${names.process} ${shard}`;
	const does = action === "refuse" ? "refuses new clients" : "pauses reading from Kafka";
	const amount = (number: number) => guardAmount(number, unit);
	return `${who} ${does} since ${since.slice(11, 19)} UTC: ${guardSentence(name)} ${amount(value)} (guards.${name}: ${amount(threshold)})`;
}

function shardHealth(row: BoardRow, nowMs: number): ShardHealth {
	const { slot: id, pid, port, connections, connectionsMax: max, restarts } = row;
	const core = row.core < 0 ? null : row.core;
	let { status, reason } = memberHealth(row.state, row.get("heartbeatMs"), nowMs);
	if (status === "healthy" && connections > utilisationMax * max) {
		status = "degraded";
		const why = max < row.connectionsGiven ? `; it could have ${row.connectionsGiven}, but not enough open files` : "";
		reason = `${percent(connections, max)} of its connections are in use${why}`;
	}
	if (row.isDrained) {
		status = "draining";
		reason = drainedReason(row.state);
	}
	const { troubles } = row;
	if (status === "healthy" && troubles.length > 0) {
		const details = row.troubleDetails;
		const sentence = (name: ShardTrouble) =>
			[troubleSentences.get(name)!, details.get(name)].filter((part) => part !== undefined).join(": ");
		status = "degraded";
		reason = troubles.map(sentence).join("; ");
	}
	const utilisation = ratio(connections, max);
	const { weight, overloads } = row;
	return {
		...{ id, pid, core, port, status, ...(reason === undefined ? {} : { reason }), connections, max, utilisation, restarts },
		...(weight > 1 ? { weight } : {}),
		...(overloads.length > 0 ? { overloaded: overloads } : {}),
	};
}

function drainedReason(state: ShardState): string {
	if (state === ShardState.draining) return "drained: it gets no new clients";
	if (state === ShardState.empty || state === ShardState.starting) return "starting: it gets no clients yet";
	return "being replaced: it gets no clients";
}

function placementOf({ balancer }: Scoreboard): Pick<HealthReport, "placement"> {
	if (balancer.mode === BalancerMode.none) return {};
	return { placement: { strategy: balancer.strategy, affinity: balancer.affinity } };
}

function balancerHealth(board: Scoreboard, nowMs: number): { status: MemberStatus | "none"; reason?: string } {
	const { balancer } = board;
	if (balancer.state === ShardState.empty) return { status: "none" };
	return memberHealth(balancer.state, balancer.get("heartbeatMs"), nowMs);
}

function memberHealth(state: ShardState, heartbeatMs: number, nowMs: number): { status: MemberStatus; reason?: string } {
	switch (state) {
		case ShardState.empty:
		case ShardState.starting:
			return { status: "starting", reason: "starting" };
		case ShardState.draining:
			return { status: "draining", reason: "draining" };
		case ShardState.dead:
			return { status: "unhealthy", reason: "down, to be restarted" };
		case ShardState.serving: {
			const silentMs = nowMs - heartbeatMs;
			if (silentMs <= Heartbeat.silentMs) return { status: "healthy" };
			return { status: "unhealthy", reason: `not responding: no heartbeat for ${(silentMs / 1000).toFixed(1)} s` };
		}
		default:
			return unknownState(state);
	}
}

function unknownState(state: never): never {
	throw new RangeError(`the scoreboard holds the state ${state}`);
}

function ratio(part: number, whole: number): number {
	return whole === 0 ? 0 : Math.round((part / whole) * 1e4) / 1e4;
}

function percent(part: number, whole: number): string {
	return `${Math.floor(ratio(part, whole) * 100)} %`;
}
