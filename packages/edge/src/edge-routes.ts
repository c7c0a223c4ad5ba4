import { type AnswerRoute, json, noStore, type Reply, refusal } from "@shardcast/http";
import { metricsContentType } from "@shardcast/telemetry";
import type { EdgeNode } from "./nodes/edge-node.ts";

interface EdgeRoutesParts {
	readonly nodes: () => readonly EdgeNode[];
	readonly isDraining: () => boolean;
	readonly connections: () => number;
	readonly metrics: () => Promise<string>;
}

/** What the edge answers itself. All other requests go to a node. */
export function edgeRoutes({ nodes, isDraining, connections, metrics }: EdgeRoutesParts): AnswerRoute[] {
	const reasons = () => {
		const lines = nodes().flatMap(({ id, problem }) => (problem === null ? [] : [`node ${id} ${problem}`]));
		if (isDraining()) lines.push("the edge is stopping");
		return lines;
	};
	const takesClients = () => nodes().some(({ problem }) => problem === null);
	const health = (): Reply => {
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
		const report = { status, reasons: why, draining: isDraining(), connections: connections(), nodes: shown };
		return json(status === "unhealthy" ? 503 : 200, report, noStore);
	};
	const ready = (): Reply => {
		const isReady = takesClients() && !isDraining();
		return isReady ? json(200, { ready: true }, noStore) : json(503, { ready: false, reasons: reasons() }, noStore);
	};
	const text = async (): Promise<Reply> => {
		try {
			return { status: 200, type: metricsContentType, body: await metrics(), headers: noStore, close: false };
		} catch (error) {
			return refusal("unavailable", (error as Error).message);
		}
	};
	return [
		{ kind: "answer", method: "GET", path: "/health", answer: health },
		{ kind: "answer", method: "GET", path: "/ready", answer: ready },
		{ kind: "answer", method: "GET", path: "/metrics", answer: text },
	];
}
