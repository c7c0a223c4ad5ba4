import type { ClusterNode, ScaleEvent } from "@shardcast/control";

/** When the cluster has too few or too many nodes. */
export interface ScaleRules {
	/** Connections, as part of what all nodes can take, above which a node is missing. */
	readonly upAt: number;
	/** Below which one is too many. */
	readonly downAt: number;
	/** A node is never missing with so many, and never too many with so few. */
	readonly maxNodes: number;
	readonly minNodes: number;
	/** How long the load must stay there. */
	readonly holdMs: number;
}

type ScaleType = ScaleEvent["type"];

/** Connections of the nodes that take clients, compared with what they can take. */
export interface ClusterLoad {
	readonly nodes: number;
	readonly connections: number;
	readonly maxConnections: number;
	/** 0 = idle, 1 = full. */
	readonly load: number;
}

/**
 * A side is left only when the load is beyond its limit by this, so that a load that changes around the limit does not start the hold time again. Less where
 * the limits are near each other or near 0: a side that no load leaves would be announced once and never again.
 */
const bandMax = 0.05;

/** Of the nodes that serve. */
export function loadOf(nodes: readonly ClusterNode[]): ClusterLoad {
	const serving = nodes.filter(({ status, health }) => status === "serving" && health !== "unhealthy");
	const sum = (read: (node: ClusterNode) => number) => serving.reduce((total, node) => total + read(node), 0);
	const [connections, maxConnections] = [sum((node) => node.connections), sum((node) => node.maxConnections)];
	return { nodes: serving.length, connections, maxConnections, load: maxConnections === 0 ? 0 : connections / maxConnections };
}

/**
 * Finds out when the cluster should grow or shrink: when its load has been above or below a limit for the hold time. It does not recommend to remove a
 * node if that would bring the others near the upper limit. While a node starts, none is missing; while one drains, none is too many. One owner.
 */
export class ScaleWatch {
	readonly #rules: ScaleRules;
	readonly #band: number;
	#side: ScaleType | null = null;
	/** When the present hold time began, by the clock of `look`; null = with the next look. */
	#sinceMs: number | null = null;
	#isAnnounced = false;

	constructor(rules: ScaleRules) {
		this.#rules = rules;
		const { upAt, downAt } = rules;
		this.#band = Math.min(bandMax, upAt / 2, (upAt - downAt) / 2);
	}

	/**
	 * Call with each new state of the nodes.
	 * @returns what the cluster should do, once in each hold time while the load stays there; "calm" once when it has left it; otherwise null.
	 */
	look(nodes: readonly ClusterNode[], nowMs: number): ScaleType | "calm" | null {
		const now = loadOf(nodes);
		if (now.maxConnections === 0) return null;
		if (this.#side !== null && this.#hasLeft(now.load)) {
			const was = this.#isAnnounced;
			this.#side = null;
			this.#isAnnounced = false;
			if (was) return "calm";
		}
		const side = this.#sideOf(now.load);
		if (this.#side === null) {
			this.#side = side;
			this.#sinceMs = nowMs;
			return null;
		}
		this.#sinceMs ??= nowMs;
		if (nowMs - this.#sinceMs < this.#rules.holdMs || side !== this.#side || !this.#mayScale(side, now, nodes)) return null;
		this.#sinceMs = nowMs;
		this.#isAnnounced = true;
		return side;
	}

	/** Call when the load of the others is not known for a while: the hold time begins again with the next look. */
	interrupted(): void {
		this.#sinceMs = null;
	}

	#sideOf(load: number): ScaleType | null {
		const { upAt, downAt } = this.#rules;
		return load > upAt ? "scaleUp" : load < downAt ? "scaleDown" : null;
	}

	#hasLeft(load: number): boolean {
		const { upAt, downAt } = this.#rules;
		return this.#side === "scaleUp" ? load < upAt - this.#band : load > downAt + this.#band;
	}

	#mayScale(side: ScaleType, { nodes: serving, load }: ClusterLoad, nodes: readonly ClusterNode[]): boolean {
		const { upAt, minNodes, maxNodes } = this.#rules;
		const is = (wanted: ClusterNode["status"]) => nodes.some(({ status }) => status === wanted);
		if (side === "scaleUp") return serving < maxNodes && !is("starting");
		const withOneLess = serving <= 1 ? Number.POSITIVE_INFINITY : (load * serving) / (serving - 1);
		return serving > minNodes && !is("draining") && withOneLess < upAt - this.#band;
	}
}
