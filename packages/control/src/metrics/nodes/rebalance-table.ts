import { counter, gauge, type ReadMetric, single } from "@shardcast/telemetry";

interface RebalanceReading {
	readonly moves: number;
	readonly clients: number;
	readonly pending: number;
}

export const rebalanceMetrics: readonly ReadMetric<RebalanceReading>[] = [
	counter(
		"shardcast_node_rebalances_total",
		"none",
		"Times that this node had too many clients and a rebalance was ordered.",
		single(({ moves }) => moves),
	),
	counter(
		"shardcast_node_rebalanced_clients_total",
		"none",
		"Clients that this node has asked to connect again because of a rebalance.",
		single(({ clients }) => clients),
	),
	gauge(
		"shardcast_node_rebalance_pending",
		"connections",
		"Clients that this node has still to ask to connect again because of a rebalance.",
		single(({ pending }) => pending),
	),
];
