import type { Question } from "../asking/question.ts";

/** What other nodes know about a node and rarely changes. */
export interface NodeFacts {
	/** host:port, for clients and other nodes. */
	readonly address: string;
	/** For clients, such as "wss://n1.example.com"; "" = unknown. */
	readonly url: string;
	/** "" = not set. */
	readonly region: string;
	readonly version: string;
	readonly status: "starting" | "serving" | "draining";
	readonly health: "healthy" | "degraded" | "unhealthy";
	readonly shards: number;
	readonly maxConnections: number;
	/** Its share of new clients compared with other nodes; at least 1. */
	readonly weight: number;
}

/** How busy a node was at its last heartbeat. */
export interface NodeLoad {
	readonly connections: number;
	/** Messages taken from clients and HTTP. */
	readonly messagesPerSecond: number;
	/** Payload bytes of these messages. */
	readonly bytesPerSecond: number;
	readonly deliveriesPerSecond: number;
	/** CPU time of the shards, as part of one CPU each; 0 to about 1. */
	readonly cpu: number;
	/** Memory in use on the machine, or of the limit of its container; 0 to 1. */
	readonly memory: number;
	/** Resident memory of shards and balancer. */
	readonly memoryBytes: number;
	/** Event-loop delay of the slowest shard, 99th percentile of a second. */
	readonly loopLagMs: number;
}

/** A node of a cluster. */
export interface ClusterNode extends NodeFacts, NodeLoad {
	readonly id: string;
	/** Grows whenever any node joins. */
	readonly term: number;
	/** By the clock of Redis, milliseconds since 1970. */
	readonly heartbeatAt: number;
	/** It has lost its connection to Redis, so it was probably killed. Absent = it is connected, or Redis was not asked. */
	readonly away?: boolean;
}

/**
 * - joining: it has not joined since its start, because Redis cannot be reached
 * - member: the others know it
 * - cutOff: it could not send a heartbeat for longer than the node timeout, so for the others it has left
 * - taken: another node has its id
 * - left: it is stopping
 */
export type NodeState = "joining" | "member" | "cutOff" | "taken" | "left";

/** The answer to `GET /cluster/nodes`, as JSON. */
export interface ClusterNodes {
	/** Id of the node that answers. */
	readonly id: string;
	readonly state: NodeState;
	/** Why it is not a member; absent while it is. */
	readonly reason?: string;
	/** All nodes as last known, including itself, sorted by id. */
	readonly nodes: readonly ClusterNode[];
	readonly totals: ClusterTotals;
}

/** Sums over all nodes. */
export interface ClusterTotals {
	readonly nodes: number;
	readonly healthyNodes: number;
	readonly connections: number;
	readonly maxConnections: number;
	readonly messagesPerSecond: number;
	readonly bytesPerSecond: number;
}

/** The nodes of the cluster, as this node knows them; null = it works alone. */
export const clusterNodesQuestion: Question<null, never, ClusterNodes | null> = {
	name: "cluster_nodes",
	asks: "nobody",
	deadlineMs: 1000,
	check: () => {
		throw new Error("nobody has a part of this answer");
	},
};
