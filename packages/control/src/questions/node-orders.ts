import type { Failover } from "@shardcast/config";
import type { Question } from "../asking/question.ts";
import type { Questions } from "../asking/questions.ts";
import { order, sum } from "./user-questions.ts";

/** Clients move from some nodes to others: the first ask them to connect again. */
export interface RebalanceOrder {
	/** The connections that a node keeps, by its id. Nodes that are not named lose none. */
	readonly keep: Readonly<Record<string, number>>;
	/** Ids of the nodes that have room. When none of them takes clients any more, nobody is asked to leave. */
	readonly to: readonly string[];
	/** Clients per second that one node asks. */
	readonly rate: number;
}

/** How many clients each node asks to connect again, by its id. */
export type RebalanceStarted = Readonly<Record<string, number>>;

/** A node stops, and its clients connect to others. */
export interface FailoverOrder {
	/** Its id. */
	readonly node: string;
	/** Absent = as the node's own options say. */
	readonly strategy?: Failover;
}

/** How many connections each node has now, by its id. */
export type NodeConnections = Readonly<Record<string, number>>;

/** Orders to nodes, which their supervisors carry out. */
export interface NodeOrders {
	/** Counted at about the same time, other than the figures of heartbeats. Nodes that do not answer are left out. */
	connections(): Promise<NodeConnections>;
	/** Starts a rebalance on the named nodes, and does not wait for its end. A new one replaces one that is in progress. Rejects if a node did not answer. */
	rebalance(order: RebalanceOrder): Promise<RebalanceStarted>;
	/** Makes a node stop, and does not wait for its end. Resolves when the node has the order; rejects if it may not have it. */
	failover(order: FailoverOrder): Promise<void>;
}

/** See `NodeOrders.connections`. */
export const nodeConnectionsQuestion = nodeOrder<null, NodeConnections>("node_connections");

/** See `NodeOrders.rebalance`. */
export const rebalanceQuestion = nodeOrder<RebalanceOrder, RebalanceStarted>("rebalance");

/** See `NodeOrders.failover`. */
export const failoverQuestion = nodeOrder<FailoverOrder, null>("failover");

/** Clients that the shards of this node ask to connect again, by slot. */
export interface MoveClients {
	readonly bySlot: Readonly<Record<string, number>>;
}

/** Each shard spreads them over a second, and answers how many it asks: fewer if clients are in the middle of something. */
export const moveClientsQuestion = order<MoveClients>("move_clients");

/** Whether a shard tells all its clients to reconnect, and how many per second may do so (null = `--drain-rate`). */
export interface OffloadOrder {
	readonly on: boolean;
	readonly rate: number | null;
}

/** The supervisor puts it to one shard, which answers how many clients it has now. */
export const offloadQuestion = order<OffloadOrder>("offload");

/** Registers the orders. @param orders null = this node works alone. */
export function answerOrders(questions: Pick<Questions, "add">, orders: () => NodeOrders | null): void {
	questions.add(nodeConnectionsQuestion, () => present(orders()).connections());
	questions.add(rebalanceQuestion, (_, { request }) => present(orders()).rebalance(request));
	questions.add(failoverQuestion, async (_, { request }) => {
		await present(orders()).failover(request);
		return null;
	});
	questions.add(moveClientsQuestion, sum);
}

/** An order that the supervisor passes on to the nodes. They have 1.5 s to answer. */
function nodeOrder<Request, Answer>(name: string): Question<Request, never, Answer> {
	return { name, asks: "nobody", deadlineMs: 3000, isOrder: true, check: (data) => data as never };
}

function present(orders: NodeOrders | null): NodeOrders {
	if (orders === null) throw new Error("this machine works alone: it has no Redis (--redis-url)");
	return orders;
}
