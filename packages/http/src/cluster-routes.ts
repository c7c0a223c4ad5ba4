import { type HealthOptions, healthReport, readiness, type Scoreboard } from "@shardcast/scoreboard";
import { metricsContentType } from "@shardcast/telemetry";
import { json, type Reply, refusal } from "./routing/reply.ts";
import type { AnswerRoute } from "./routing/route.ts";
import { noStore } from "./routing/router.ts";

interface ClusterRoutesParts {
	readonly board: Scoreboard;
	/** Who may publish, and whether authentication is required. Called for each request. */
	readonly access: () => Pick<HealthOptions, "auth" | "mayPublish">;
	/** The metrics of the whole cluster. May reject; the client gets the error's message. */
	readonly metrics: () => Promise<string>;
}

/** Routes about the cluster, the same on the balancer's port and on each shard's. */
export function clusterRoutes({ board, access, metrics }: ClusterRoutesParts): AnswerRoute[] {
	const health = (): Reply => {
		const report = healthReport(board, access());
		return json(report.status === "unhealthy" ? 503 : 200, report, noStore);
	};
	const ready = (): Reply => {
		const { ready, reasons } = readiness(board);
		return ready ? json(200, { ready }, noStore) : json(503, { ready, reasons }, noStore);
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
