import { parseNodeUrl, weightMax } from "@shardcast/config";
import type { ClusterNode, NodeFacts } from "@shardcast/control";
import { processStartTicks } from "@shardcast/native";

/** The process that keeps a node's entry, so that its successor on the same machine can tell that it is dead. */
export interface NodeProcess {
	/** Id of the kernel's boot. */
	readonly boot: string;
	readonly pidNamespace: string;
	readonly pid: number;
	readonly startTicks: number | null;
}

/** A node's entry in Redis. */
export interface NodeRecord extends ClusterNode {
	/** Random, to distinguish processes with the same node id. */
	readonly instance: string;
	readonly process: NodeProcess;
}

/**
 * What others are told at once when it changes, as text. The load changes all the time. While a node starts or drains, so do its health and its shards, as
 * they should: "unhealthy" would be a false alarm.
 */
export function toldOf({ address, url, region, version, status, health, shards, maxConnections, weight }: NodeFacts): string {
	const serving = status === "serving" ? [health, shards, maxConnections] : [];
	return JSON.stringify([address, url, region, version, weight, status, ...serving]);
}

const textMax = 256;
const statuses = namesOf<NodeFacts["status"]>({ starting: true, serving: true, draining: true });
const healths = namesOf<NodeFacts["health"]>({ healthy: true, degraded: true, unhealthy: true });

/** Null when a node of this version cannot have written it. */
export function parseNodeRecord(json: unknown): NodeRecord | null {
	if (typeof json !== "string" || json.length > 16_384) return null;
	try {
		return checked(JSON.parse(json) as Record<string, unknown>);
	} catch {
		// Not JSON, or incomplete.
		return null;
	}
}

function checked(raw: Record<string, unknown>): NodeRecord {
	const text = (name: string): string => {
		const value = raw[name];
		if (typeof value !== "string" || value.length > textMax) throw new TypeError(name);
		return value;
	};
	const number = (name: string): number => {
		const value = raw[name];
		if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new TypeError(name);
		return value;
	};
	/** Nodes of a version before this field do not write it. */
	const newer = <T>(name: string, read: (name: string) => T, otherwise: T): T => (raw[name] === undefined ? otherwise : read(name));
	const oneOf = <T extends string>(name: string, values: readonly T[]): T => {
		const value = text(name) as T;
		if (!values.includes(value)) throw new TypeError(name);
		return value;
	};
	const { boot, pidNamespace, pid, startTicks } = (raw.process ?? {}) as Record<string, unknown>;
	return {
		id: text("id"),
		instance: text("instance"),
		address: text("address"),
		url: newer("url", (name) => urlIn(text(name)), ""),
		region: text("region"),
		version: text("version"),
		status: oneOf("status", statuses),
		health: oneOf("health", healths),
		shards: number("shards"),
		connections: number("connections"),
		maxConnections: number("maxConnections"),
		weight: newer("weight", (name) => Math.min(weightMax, Math.max(1, number(name))), 1),
		messagesPerSecond: number("messagesPerSecond"),
		bytesPerSecond: number("bytesPerSecond"),
		deliveriesPerSecond: number("deliveriesPerSecond"),
		cpu: number("cpu"),
		memory: newer("memory", number, 0),
		memoryBytes: number("memoryBytes"),
		loopLagMs: number("loopLagMs"),
		term: number("term"),
		heartbeatAt: number("heartbeatAt"),
		process: {
			boot: String(boot),
			pidNamespace: String(pidNamespace),
			pid: Number(pid),
			startTicks: startTicks === null ? null : Number(startTicks),
		},
	};
}

/** All names of a type: a node that writes one that is missing here would be invisible, so the compiler asks for each. */
function namesOf<T extends string>(all: Readonly<Record<T, true>>): readonly T[] {
	return Object.keys(all) as T[];
}

/** Clients are sent there, so anything but the URL of a WebSocket server counts as none. */
function urlIn(text: string): string {
	try {
		return parseNodeUrl(text);
	} catch {
		return "";
	}
}

/** The part of the record shown to others. */
export function publicNode({ instance: _, process: __, ...node }: NodeRecord): ClusterNode {
	return node;
}

/** Whether the process is certainly dead. Only processes of this machine can be checked. */
export function isDeadProcess(process: NodeProcess, own: NodeProcess): boolean {
	if (process.boot !== own.boot || process.pidNamespace !== own.pidNamespace || process.startTicks === null) return false;
	return processStartTicks(process.pid) !== process.startTicks;
}
