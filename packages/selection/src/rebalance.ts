import { divide, divideByCount } from "./divide.ts";
import type { SelectableNode } from "./node-selector.ts";
import { takesClients } from "./usable.ts";

/** What must be known of a node to balance it with others. */
export type BalancedNode = Pick<
	SelectableNode,
	"id" | "weight" | "connections" | "maxConnections" | "region" | "status" | "health" | "away"
>;

export interface RebalanceRules {
	/** Part of its share by which a node may exceed it before its clients move; 0.1 = 10 %. */
	readonly tolerance: number;
	/** own = clients move only to nodes of the same region, since selection would send them back. */
	readonly region: "own" | "any";
}

/** A node in a plan. */
export interface NodeBalance {
	readonly id: string;
	readonly connections: number;
	/** Connections that it would have if all were balanced. */
	readonly share: number;
	/** Clients to move away. */
	readonly leaving: number;
	/** Clients that it can expect. */
	readonly arriving: number;
}

/** Which nodes have too many clients, and where there is room for them. */
export interface RebalancePlan {
	/** A node has too many clients, and others have room. */
	readonly recommended: boolean;
	/** Clients to move. */
	readonly clients: number;
	readonly tolerance: number;
	/** All that take clients, by id. Nodes that are draining, starting, unhealthy or probably killed are left out. */
	readonly nodes: readonly NodeBalance[];
}

/**
 * How clients should move. A share is in proportion to the weight, as when nodes are selected, and at most what a node can take. Only nodes that exceed
 * their share by more than the tolerance lose clients; they keep their share. No more clients move than others have room for.
 */
export function rebalancePlan(nodes: readonly BalancedNode[], { tolerance, region }: RebalanceRules): RebalancePlan {
	const groups = new Map<string, BalancedNode[]>();
	for (const node of nodes) {
		if (!takesClients(node)) continue;
		const name = region === "own" ? node.region : "";
		groups.set(name, [...(groups.get(name) ?? []), node]);
	}
	const balances = [...groups.values()].flatMap((group) => balanced(group, tolerance)).sort((a, b) => (a.id < b.id ? -1 : 1));
	const clients = balances.reduce((sum, { leaving }) => sum + leaving, 0);
	return { recommended: clients > 0, clients, tolerance, nodes: balances };
}

function balanced(nodes: readonly BalancedNode[], tolerance: number): NodeBalance[] {
	const connections = nodes.reduce((sum, node) => sum + node.connections, 0);
	const shares = divide(
		connections,
		nodes.map((node) => ({ weight: node.weight, max: node.maxConnections, prefers: (share) => node.connections > share })),
	);
	const over = nodes.map((node, at) => (node.connections > shares[at] * (1 + tolerance) ? node.connections - shares[at] : 0));
	const room = nodes.map((node, at) => Math.max(0, shares[at] - node.connections));
	const clients = Math.min(sum(over), sum(room));
	const leaving = divideByCount(clients, over);
	const arriving = divideByCount(clients, room);
	return nodes.map(({ id, connections }, at) => ({
		id,
		connections,
		share: shares[at],
		leaving: leaving[at],
		arriving: arriving[at],
	}));
}

const sum = (numbers: readonly number[]) => numbers.reduce((total, each) => total + each, 0);
