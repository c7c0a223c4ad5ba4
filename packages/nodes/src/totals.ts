import type { ClusterNode, ClusterTotals } from "@shardcast/control";

/** All machines together. */
export function totalsOf(nodes: readonly ClusterNode[]): ClusterTotals {
	const sum = (read: (node: ClusterNode) => number) => nodes.reduce((total, node) => total + read(node), 0);
	return {
		nodes: nodes.length,
		healthyNodes: nodes.filter(({ health }) => health === "healthy").length,
		connections: sum(({ connections }) => connections),
		maxConnections: sum(({ maxConnections }) => maxConnections),
		messagesPerSecond: sum(({ messagesPerSecond }) => messagesPerSecond),
		bytesPerSecond: sum(({ bytesPerSecond }) => bytesPerSecond),
	};
}
