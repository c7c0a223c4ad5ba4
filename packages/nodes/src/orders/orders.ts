import type { Failover } from "@shardcast/config";
import {
	type ClusterNode,
	type FailoverOrder,
	failoverQuestion,
	type NodeConnections,
	type NodeOrders,
	type NodeParts,
	type NodeState,
	nodeConnectionsQuestion,
	type RebalanceOrder,
	type RebalanceStarted,
	rebalanceQuestion,
} from "@shardcast/control";
import type { ClientMover } from "./client-mover.ts";
import { failoverOrder, rebalanceOrder } from "./order-requests.ts";

/** A node that takes clients. Its term is another one after a restart. */
type Taker = Pick<ClusterNode, "id" | "term">;

interface OrdersParts {
	readonly id: string;
	readonly state: () => NodeState;
	/** Puts an order to all other nodes, as `NodeControl` does. */
	readonly ask: (question: string, request: unknown, deadlineMs: number) => Promise<readonly NodeParts[]>;
	readonly mover: Pick<ClientMover, "start" | "total">;
	/** Other nodes that take clients, as far as this one knows. */
	readonly takers: () => readonly Taker[];
	/** Starts to stop this node, in a later turn of the loop: the answer must get out. */
	readonly leave: (strategy: Failover | undefined) => void;
}

/** Half of the order's own deadline, so that an error is there before it. */
const othersMs = 1500;
/** By then, a node that has got the order is known to drain, or has refused it. */
const leavingMs = 5000;

/** Orders to nodes: passes them on to the others, and carries out those that concern this one. One per node. */
export class Orders implements NodeOrders {
	readonly #parts: OrdersParts;
	/** Nodes that were ordered to stop, by id, and until when they count as such, by `performance.now()`. At most all nodes. */
	readonly #leaving = new Map<string, { readonly term: number; readonly untilMs: number }>();

	constructor(parts: OrdersParts) {
		this.#parts = parts;
	}

	async connections(): Promise<NodeConnections> {
		const { id, mover } = this.#parts;
		const others = await this.#askOthers(nodeConnectionsQuestion.name, null, []);
		return Object.fromEntries([...others, [id, mover.total]]);
	}

	async rebalance(order: RebalanceOrder): Promise<RebalanceStarted> {
		const { id, mover } = this.#parts;
		const answers = await this.#askOthers(rebalanceQuestion.name, order, Object.keys(order.keep));
		// Ids may be the names of methods.
		const isNamed = (node: string) => Object.hasOwn(order.keep, node);
		const counts = [...answers].filter(([node]) => isNamed(node));
		const own = mover.start(order);
		return Object.fromEntries([...counts, ...(isNamed(id) ? [[id, own] as const] : [])]);
	}

	/**
	 * All nodes get the order, so that the others know of it before they are ordered to stop themselves: of nodes that are ordered at the same time, one at
	 * least remains. It may be that none of them stops.
	 */
	async failover(order: FailoverOrder): Promise<void> {
		const { id } = this.#parts;
		if (order.node !== id) {
			this.#note(order.node);
			await this.#askOthers(failoverQuestion.name, order, [order.node]);
			return;
		}
		this.#remaining();
		const answers = await this.#askOthers(failoverQuestion.name, order, []);
		// Without an answer, it may be that the others have not got it.
		if (!this.#remaining().some((taker) => answers.has(taker.id)))
			throw new Error(`no other node that takes clients has answered${advice(id)}`);
		this.#parts.leave(order.strategy);
	}

	/** What this node answers to an order of another one; null = it is not such an order. @throws Error when the request is invalid. */
	answer(question: string, request: unknown): readonly unknown[] | null {
		if (question === nodeConnectionsQuestion.name) return [this.#parts.mover.total];
		if (question === rebalanceQuestion.name) return [this.#parts.mover.start(rebalanceOrder(request))];
		if (question === failoverQuestion.name) return [this.#failover(failoverOrder(request))];
		return null;
	}

	#failover({ node, strategy }: FailoverOrder): number {
		if (node !== this.#parts.id) {
			this.#note(node);
			return 0;
		}
		this.#remaining();
		this.#parts.leave(strategy);
		return 1;
	}

	#note(id: string): void {
		const nowMs = performance.now();
		for (const [each, { untilMs }] of this.#leaving) if (untilMs <= nowMs) this.#leaving.delete(each);
		const taker = this.#parts.takers().find((each) => each.id === id);
		if (taker !== undefined) this.#leaving.set(id, { term: taker.term, untilMs: nowMs + leavingMs });
	}

	/** Nodes that take this one's clients when it stops. @throws Error when there is none. */
	#remaining(): readonly Taker[] {
		const { id, takers } = this.#parts;
		const nowMs = performance.now();
		const remaining = takers().filter((taker) => {
			const leaving = this.#leaving.get(taker.id);
			return leaving?.term !== taker.term || leaving.untilMs <= nowMs;
		});
		if (remaining.length === 0) throw new Error(`no other node takes clients now, or the others were ordered to stop, too${advice(id)}`);
		return remaining;
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

const advice = (id: string) => `; ask again in some seconds, or, to stop ${id} nevertheless, send it a signal`;
