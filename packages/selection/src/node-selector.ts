import type { Candidate } from "./candidate.ts";
import { NoNode, type WhyNot } from "./no-node.ts";
import { createStrategy, type SelectionKey, type StrategyName } from "./strategy.ts";

/** What must be known of a node to select it. */
export interface SelectableNode extends Candidate {
	/** "" = clients do not know how to reach it. */
	readonly url: string;
	/** "" = none was given. */
	readonly region: string;
	readonly status: "starting" | "serving" | "draining";
	readonly health: "healthy" | "degraded" | "unhealthy";
	/** Changes whenever the figures do. */
	readonly heartbeatAt: number;
	/** It was probably killed a moment ago: it comes last. */
	readonly away?: boolean;
}

/** The nodes, as one of them knows them. */
export interface KnownNodes<N extends SelectableNode> {
	/** The node that selects. */
	readonly id: string;
	/** Anything but "member": it does not know what the others do. */
	readonly state: string;
	/** Itself included. */
	readonly nodes: readonly N[];
}

export interface SelectionRules {
	readonly strategy: StrategyName;
	/** own = nodes of the same region come first. */
	readonly region: "own" | "any";
	/** Only nodes with a URL. */
	readonly needsUrl: boolean;
}

export interface SelectionRequest extends SelectionKey {
	/** Nodes of this region come first; "" = as the rules say. */
	readonly region: string;
	/** Ids of nodes that the client could not reach: they come last. */
	readonly avoid: readonly string[];
}

interface Picks {
	readonly heartbeatAt: number;
	readonly sinceMs: number;
	count: number;
}

/** A selected node. */
interface Selected<N> {
	readonly node: N;
	/** All that could take the client, in any region. Those to avoid are among them only if there are no others. */
	readonly able: readonly N[];
	/** Call when it is known that the client is not there any more, or has not arrived. */
	readonly end: () => void;
}

/** Clients that are not in a node's figures after this time have not come. It is the longest time between two heartbeats. */
const picksMs = 60_000;

interface NodeSelectorParts {
	/** Returns a number from 0 to below 1. */
	readonly random?: () => number;
	readonly nowMs?: () => number;
}

/**
 * Selects a node for each client. It counts the clients that it has sent to a node since the node's last heartbeat, so a burst spreads although the nodes
 * report later. One owner. Takes some microseconds for ten nodes. Bound: an entry for each known node.
 */
export class NodeSelector {
	readonly #random: () => number;
	readonly #nowMs: () => number;
	readonly #picks = new Map<string, Picks>();
	#name: StrategyName | null = null;
	#strategy = createStrategy("random");

	constructor({ random = Math.random, nowMs = () => performance.now() }: NodeSelectorParts = {}) {
		this.#random = random;
		this.#nowMs = nowMs;
	}

	/**
	 * A node that does not report to be full, unhealthy, starting, draining or gone. One that would be full with the clients that it has been sent since
	 * comes last. It is not excluded: anybody may ask for nodes without connecting to them. A node that is cut off from the others knows only itself.
	 * @throws NoNode when there is none.
	 */
	select<N extends SelectableNode>(known: KnownNodes<N>, rules: SelectionRules, request: SelectionRequest): N {
		return this.selectAmong(known, rules, request).node;
	}

	/** Like `select`. @throws NoNode */
	selectAmong<N extends SelectableNode>(known: KnownNodes<N>, rules: SelectionRules, request: SelectionRequest): Selected<N> {
		this.#forget(known.nodes);
		if (rules.strategy !== this.#name) {
			this.#name = rules.strategy;
			this.#strategy = createStrategy(rules.strategy, this.#random);
		}
		const usable = this.#usable(known, rules.needsUrl);
		const there = someOr(usable, ({ node }) => node.away !== true);
		const reachable = someOr(
			someOr(there, ({ node }) => !request.avoid.includes(node.id)),
			({ connections, maxConnections }) => connections < maxConnections,
		);
		const region = request.region || (rules.region === "any" ? "" : (known.nodes.find(({ id }) => id === known.id)?.region ?? ""));
		const near = region === "" ? reachable : someOr(reachable, ({ node }) => node.region === region);
		const { node } = this.#strategy(near, request);
		const picks = this.#picksOf(node);
		picks.count++;
		let isOver = false;
		const end = () => {
			if (!isOver && picks.count > 0) picks.count--;
			isOver = true;
		};
		return { node, able: reachable.map((each) => each.node), end };
	}

	/** The client goes to another node than the one that was selected for it. */
	moved(from: SelectableNode, to: SelectableNode): void {
		const picks = this.#picksOf(from);
		// A heartbeat of the node has set it back to 0 meanwhile.
		if (picks.count > 0) picks.count--;
		this.#picksOf(to).count++;
	}

	#usable<N extends SelectableNode>({ id, state, nodes }: KnownNodes<N>, needsUrl: boolean) {
		const because = new Map<WhyNot, number>();
		const usable = nodes.flatMap((node) => {
			const connections = node.connections + this.#picksOf(node).count;
			const isKnown = state === "member" || node.id === id;
			const why = isKnown ? whyNot(node, needsUrl) : "cut off";
			if (why === null) return [{ ...node, connections, node }];
			because.set(why, (because.get(why) ?? 0) + 1);
			return [];
		});
		if (usable.length === 0) throw new NoNode(because);
		return usable;
	}

	#picksOf({ id, heartbeatAt }: SelectableNode): Picks {
		const picks = this.#picks.get(id);
		const nowMs = this.#nowMs();
		// Who asks may have older figures than the one before.
		if (picks !== undefined && heartbeatAt <= picks.heartbeatAt && nowMs - picks.sinceMs < picksMs) return picks;
		// The node's own figure includes them now.
		const none = { heartbeatAt, sinceMs: nowMs, count: 0 };
		this.#picks.set(id, none);
		return none;
	}

	#forget(nodes: readonly SelectableNode[]): void {
		if (this.#picks.size <= nodes.length) return;
		const ids = new Set(nodes.map(({ id }) => id));
		for (const id of this.#picks.keys()) if (!ids.has(id)) this.#picks.delete(id);
	}
}

function whyNot({ status, health, connections, maxConnections, url }: SelectableNode, needsUrl: boolean): WhyNot | null {
	if (status !== "serving") return status;
	if (health === "unhealthy") return health;
	if (connections >= maxConnections) return "full";
	return needsUrl && url === "" ? "without a URL for clients (--node-url)" : null;
}

/** Those that satisfy the wish, or all if none does. */
function someOr<T>(all: readonly T[], wish: (each: T) => boolean): readonly T[] {
	const some = all.filter(wish);
	return some.length > 0 ? some : all;
}
