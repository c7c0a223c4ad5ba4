import { type HealthOptions, healthReport, readiness, type Scoreboard } from "@shardcast/scoreboard";
import { metricsContentType } from "@shardcast/telemetry";
import { json, type Reply, refusal } from "./routing/reply.ts";
import type { AnswerRoute } from "./routing/route.ts";
import { noStore } from "./routing/router.ts";

type Promised<T> = T | Promise<T>;

interface StateRoutesParts {
	/** The body of `GET /health`. May reject, like all of these; the client gets the error's message. */
	readonly health: () => Promised<{ readonly status: "healthy" | "degraded" | "unhealthy" }>;
	/** Whether clients may come; with the reasons if not. */
	readonly readiness: () => Promised<{
		readonly ready: boolean;
		readonly reasons: readonly string[];
		readonly guards?: readonly unknown[];
	}>;
	/** The body of `GET /metrics`. */
	readonly metrics: () => Promise<string>;
}

interface ClusterRoutesParts extends Pick<StateRoutesParts, "metrics"> {
	readonly board: Scoreboard;
	/** Who may publish, and whether authentication is required. Called for each request. */
	readonly access: () => Pick<HealthOptions, "auth" | "mayPublish">;
	/** Shards of other machines; only the balancer knows of them. */
	readonly remotes?: () => HealthOptions["remotes"];
}

/** Routes about the cluster, the same on the balancer's port and on each shard's. */
export function clusterRoutes({ board, access, metrics, remotes }: ClusterRoutesParts): AnswerRoute[] {
	const health = () => healthReport(board, { ...access(), ...(remotes !== undefined && { remotes: remotes() ?? [] }) });
	return stateRoutes({ health, readiness: () => readiness(board), metrics });
}

/** `/health`, `/ready` and `/metrics`. */
export function stateRoutes({ health, readiness, metrics }: StateRoutesParts): AnswerRoute[] {
	const report = () => answered(health(), (body) => json(body.status === "unhealthy" ? 503 : 200, body, noStore));
	const ready = () =>
		answered(readiness(), ({ ready, reasons, guards }) =>
			ready ? json(200, { ready, guards }, noStore) : json(503, { ready, reasons, guards }, noStore),
		);
	const text = () => answered(metrics(), (body) => ({ status: 200, type: metricsContentType, body, headers: noStore, close: false }));
	return [
		{ kind: "answer", method: "GET", path: "/health", answer: report },
		{ kind: "answer", method: "GET", path: "/ready", answer: ready },
		{ kind: "answer", method: "GET", path: "/metrics", answer: text },
	];
}

/** The reply made of a value, or why there is none. */
export function answered<T>(value: T | Promise<T>, reply: (value: T) => Reply): Reply | Promise<Reply> {
	if (!(value instanceof Promise)) return reply(value);
	return value.then(reply, (error: unknown) => refusal("unavailable", (error as Error).message));
}
