import { type Ask, type ClusterNodes, nodeConnectionsQuestion, type RebalanceStarted, rebalanceQuestion } from "@shardcast/control";
import { type RebalancePlan, rebalancePlan } from "@shardcast/selection";
import { toldEachSecond } from "@shardcast/wire";

export interface RebalanceOptions {
	/** Part of its share by which a node may exceed it before clients move, 0 to 1. Default 0.1. */
	readonly tolerance?: number;
}

/** The options that decide how clients move. */
export interface RebalanceConfig {
	readonly selectRegion: "own" | "any";
	/** Clients of each node that may connect again per second. */
	readonly rebalanceRate: number;
}

/** A plan that is being carried out. */
export interface Rebalance extends RebalancePlan {
	/** Clients that each node asks to connect again, by its id, counted as it got the order. */
	readonly moving: RebalanceStarted;
}

const defaultTolerance = 0.1;

export function isTolerance(value: unknown): value is number {
	return typeof value === "number" && value >= 0 && value <= 1;
}

/** How clients should move, by what this node knows of the others. Changes nothing. */
export function recommend(
	known: ClusterNodes,
	{ selectRegion: region }: Pick<RebalanceConfig, "selectRegion">,
	{ tolerance = defaultTolerance }: RebalanceOptions,
): RebalancePlan {
	return rebalancePlan(known.nodes, { tolerance, region });
}

/** Makes the nodes with too many clients ask them to connect again. Resolves when all of them have begun. Rejects when one may not have. */
export async function rebalance(ask: Ask, known: ClusterNodes, config: RebalanceConfig, options: RebalanceOptions): Promise<Rebalance> {
	// Heartbeats are of different times: during a rebalance, clients that are in none of them would make all shares too small.
	const now = await ask(nodeConnectionsQuestion, null);
	const nodes = known.nodes.map((node) => (Object.hasOwn(now, node.id) ? { ...node, connections: now[node.id] } : node));
	const plan = recommend({ ...known, nodes }, config, options);
	const keep = Object.fromEntries(plan.nodes.flatMap(({ id, connections, leaving }) => (leaving > 0 ? [[id, connections - leaving]] : [])));
	const to = plan.nodes.flatMap(({ id, arriving }) => (arriving > 0 ? [id] : []));
	const moving = await ask(rebalanceQuestion, { keep, to, rate: toldEachSecond(config.rebalanceRate) });
	return { ...plan, moving };
}
