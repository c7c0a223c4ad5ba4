import { type Ask, type ClusterNodes, type FailoverOrder, failoverQuestion } from "@shardcast/control";
import { UnknownNode } from "@shardcast/http";
import { takesClients } from "@shardcast/selection";

/** The order cannot be carried out as things are. */
export class FailoverRefused extends Error {
	readonly code: "not_found" | "no_node";

	constructor(code: FailoverRefused["code"], message: string) {
		super(message);
		this.code = code;
	}
}

/** Makes a node stop. Rejects when it may not have got the order; with FailoverRefused if it is unknown, or no other node could take its clients. */
export async function failover(ask: Ask, { nodes }: ClusterNodes, order: FailoverOrder): Promise<void> {
	if (!nodes.some(({ id }) => id === order.node)) throw new FailoverRefused("not_found", new UnknownNode(order.node, nodes).message);
	if (!nodes.some((node) => node.id !== order.node && takesClients(node)))
		throw new FailoverRefused("no_node", `no other node takes clients now; to stop ${order.node} nevertheless, send it a signal`);
	await ask(failoverQuestion, order);
}
