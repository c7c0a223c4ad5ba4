import { type AnswerRoute, stateRoutes } from "@shardcast/http";
import type { EdgeNode } from "./nodes/edge-node.ts";

interface EdgeRoutesParts {
	readonly nodes: () => readonly EdgeNode[];
	/** Why it does not learn which nodes there are; null = it does. */
	readonly sourceProblem: () => string | null;
	readonly isDraining: () => boolean;
	readonly connections: () => number;
	readonly metrics: () => Promise<string>;
}

/** What the edge answers itself. All other requests go to a node. */
export function edgeRoutes({ nodes, sourceProblem, isDraining, connections, metrics }: EdgeRoutesParts): AnswerRoute[] {
	const reasons = () => {
		const lines = nodes().flatMap(({ id, problem }) => (problem === null ? [] : [`node ${id} ${problem}`]));
		const problem = sourceProblem();
		if (problem !== null) lines.push(problem);
		if (isDraining()) lines.push("the edge is stopping");
		return lines;
	};
	const takesClients = () => nodes().some(({ problem }) => problem === null);
	const health = () => {
		const why = reasons();
		const status = !takesClients() ? "unhealthy" : why.length > 0 ? "degraded" : "healthy";
		if (status === "unhealthy") why.push("no node can take a client");
		const shown = nodes().map(({ id, known: { host, port }, problem, open }) => ({
			id,
			address: `${host}:${port}`,
			status: problem === null ? "healthy" : "unavailable",
			...(problem === null ? {} : { reason: problem }),
			connections: open,
		}));
		return { status, reasons: why, draining: isDraining(), connections: connections(), nodes: shown } as const;
	};
	const readiness = () => ({ ready: takesClients() && !isDraining(), reasons: reasons() });
	return stateRoutes({ health, readiness, metrics });
}
