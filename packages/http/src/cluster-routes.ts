import { type HealthOptions, healthReport, readiness, type Scoreboard } from "@shardcast/scoreboard";
import { metricsContentType } from "@shardcast/telemetry";
import { json, type Reply, refusal } from "./routing/reply.ts";
import type { AnswerRoute } from "./routing/route.ts";
import { noStore } from "./routing/router.ts";

interface StateRoutesParts {
	/** The body of `GET /health`. */
	readonly health: () => { readonly status: "healthy" | "degraded" | "unhealthy" };
	/** Whether clients may come; with the reasons if not. */
	readonly readiness: () => { readonly ready: boolean; readonly reasons: readonly string[] };
	/** The body of `GET /metrics`. May reject; the client gets the error's message. */
	readonly metrics: () => Promise<string>;
}

interface ClusterRoutesParts extends Pick<StateRoutesParts, "metrics"> {
	readonly board: Scoreboard;
	/** Who may publish, and whether authentication is required. Called for each request. */
	readonly access: () => Pick<HealthOptions, "auth" | "mayPublish">;
}

/** Routes about the cluster, the same on the balancer's port and on each shard's. */
export function clusterRoutes({ board, access, metrics }: ClusterRoutesParts): AnswerRoute[] {
	return stateRoutes({ health: () => healthReport(board, access()), readiness: () => readiness(board), metrics });
}

/** `/health`, `/ready` and `/metrics`. */
export function stateRoutes({ health, readiness, metrics }: StateRoutesParts): AnswerRoute[] {
	const report = (): Reply => {
		const body = health();
		return json(body.status === "unhealthy" ? 503 : 200, body, noStore);
	};
	const ready = (): Reply => {
		const { ready, reasons } = readiness();
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
		{ kind: "answer", method: "GET", path: "/health", answer: report },
		{ kind: "answer", method: "GET", path: "/ready", answer: ready },
		{ kind: "answer", method: "GET", path: "/metrics", answer: text },
	];
}
