import type { Question } from "./question.ts";

/** What others are told of a machine; it changes seldom. */
export interface NodeFacts {
	/** host:port, for clients and other machines. */
	readonly address: string;
	/** "" = none was given. */
	readonly region: string;
	readonly version: string;
	readonly status: "starting" | "serving" | "draining";
	readonly health: "healthy" | "degraded" | "unhealthy";
	readonly shards: number;
	readonly maxConnections: number;
}

/** How busy it was, as of its last heartbeat. */
export interface NodeLoad {
	readonly connections: number;
	/** Messages taken from clients and HTTP. */
	readonly messagesPerSecond: number;
	/** Their payload. */
	readonly bytesPerSecond: number;
	readonly deliveriesPerSecond: number;
	/** CPU time of the shards, as part of one CPU each; 0 to about 1. */
	readonly cpu: number;
	/** Resident memory of shards and balancer. */
	readonly memoryBytes: number;
	/** Of the slowest shard: delay of its event loop, 99th percentile of a second. */
	readonly loopLagMs: number;
}

/** A machine among several. */
export interface ClusterNode extends NodeFacts, NodeLoad {
	readonly id: string;
	/** Grows with each join of any machine. */
	readonly term: number;
	/** By the clock of Redis, milliseconds since 1970. */
	readonly heartbeatAt: number;
}

/**
 * - joining: it has not joined since its start, for Redis is not reached
 * - member: the others know that it is there
 * - cutOff: it could not tell them for longer than the node timeout, so to them it has left
 * - taken: another machine has its id
 * - left: it is stopping
 */
export type NodeState = "joining" | "member" | "cutOff" | "taken" | "left";

/** What `GET /cluster/nodes` answers, as JSON. */
export interface ClusterNodes {
	/** The machine that answers. */
	readonly id: string;
	readonly state: NodeState;
	/** Why it is no member; absent while it is. */
	readonly reason?: string;
	/** As last known, itself included; by id. */
	readonly nodes: readonly ClusterNode[];
	readonly totals: ClusterTotals;
}

/** All machines together. */
export interface ClusterTotals {
	readonly nodes: number;
	readonly healthyNodes: number;
	readonly connections: number;
	readonly maxConnections: number;
	readonly messagesPerSecond: number;
	readonly bytesPerSecond: number;
}

/** Which machines there are, as the machine that is asked knows it; null = it works alone. */
export const clusterNodesQuestion: Question<null, never, ClusterNodes | null> = {
	name: "cluster nodes",
	asks: "nobody",
	deadlineMs: 1000,
	check: () => {
		throw new Error("nobody has a part of this answer");
	},
};
