import type { Failover } from "@shardcast/config";
import {
	type FailoverOrder,
	failoverQuestion,
	type NodeOrders,
	type NodeParts,
	type NodeState,
	type RebalanceOrder,
	type RebalanceStarted,
	rebalanceQuestion,
} from "@shardcast/control";
import type { ClientMover } from "./client-mover.ts";
import { failoverOrder, rebalanceOrder } from "./order-requests.ts";

interface OrdersParts {
	readonly id: string;
	readonly state: () => NodeState;
	/** Puts an order to all other nodes, as `NodeControl` does. */
	readonly ask: (question: string, request: unknown, deadlineMs: number) => Promise<readonly NodeParts[]>;
	readonly mover: Pick<ClientMover, "start">;
	/** Starts to stop this node, in a later turn of the loop: the answer must get out. */
	readonly leave: (strategy: Failover | undefined) => void;
}

/** Half of the order's own deadline, so that an error is there before it. */
const othersMs = 1500;

/** Orders to nodes: passes them on to the others, and carries out those that concern this one. One per node. */
export class Orders implements NodeOrders {
	readonly #parts: OrdersParts;

	constructor(parts: OrdersParts) {
		this.#parts = parts;
	}

	async rebalance(order: RebalanceOrder): Promise<RebalanceStarted> {
		const { id, mover } = this.#parts;
		const answers = await this.#askOthers(rebalanceQuestion.name, order, Object.keys(order.keep));
		const counts = [...answers].filter(([node]) => order.keep[node] !== undefined);
		const own = mover.start(order);
		return Object.fromEntries([...counts, ...(order.keep[id] === undefined ? [] : [[id, own] as const])]);
	}

	async failover(order: FailoverOrder): Promise<void> {
		const { id, leave } = this.#parts;
		if (order.node === id) leave(order.strategy);
		else await this.#askOthers(failoverQuestion.name, order, [order.node]);
	}

	/** What this node answers to an order of another one; null = it is not such an order. @throws Error when the request is invalid. */
	answer(question: string, request: unknown): readonly unknown[] | null {
		if (question === rebalanceQuestion.name) return [this.#parts.mover.start(rebalanceOrder(request))];
		if (question === failoverQuestion.name) return [this.#failover(failoverOrder(request))];
		return null;
	}

	#failover({ node, strategy }: FailoverOrder): number {
		if (node !== this.#parts.id) return 0;
		this.#parts.leave(strategy);
		return 1;
	}

	/** @returns the number that each node has answered. @throws Error when one of the wanted nodes has not. */
	async #askOthers(question: string, order: unknown, wanted: readonly string[]): Promise<Map<string, number>> {
		const { id, state, ask } = this.#parts;
		const now = state();
		if (now !== "member") throw new Error(`node ${id} is not connected to the others (${now}); ask another one`);
		const answers = new Map<string, number>();
		const problems = new Map<string, string>();
		for (const answer of await ask(question, order, othersMs)) {
			if ("problem" in answer) problems.set(answer.node, answer.problem);
			else if (typeof answer.parts[0] === "number") answers.set(answer.node, answer.parts[0]);
		}
		const missing = wanted.filter((node) => node !== id && !answers.has(node));
		if (missing.length === 0) return answers;
		const each = missing.map((node) => `${node} (${problems.get(node) ?? "it is not known here"})`);
		throw new Error(`${each.join(", ")} may not have carried out "${question}"`);
	}
}
