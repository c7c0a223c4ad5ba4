import type { MayPublish } from "@shardcast/http";
import { healthReport, readiness, type Scoreboard } from "@shardcast/scoreboard";
import { metricsContentType } from "@shardcast/telemetry";
import { type HttpReply, json, refusal } from "./http-reply.ts";

export interface RoutesParts {
	readonly board: Scoreboard;
	readonly mayPublish: MayPublish;
	/** The metrics of the whole cluster. */
	readonly metrics: () => Promise<string>;
}

/** Answers what is about the cluster and not about this shard, the same as the balancer does. Every answer ends its connection. */
export function answerRequest(method: string, path: string, parts: RoutesParts): HttpReply | Promise<HttpReply> {
	const answer = answers.get(path);
	if (answer === undefined) return refusal("not_found", `there is nothing at ${method.toUpperCase()} ${path.slice(0, 200)}`);
	if (method === "get" || method === "head") return answer(parts);
	return refusal("method_not_allowed", "use GET", { headers: { Allow: "GET, HEAD" } });
}

type Answer = (parts: RoutesParts) => HttpReply | Promise<HttpReply>;

const answers: ReadonlyMap<string, Answer> = new Map<string, Answer>([
	[
		"/health",
		({ board, mayPublish }) => {
			const report = healthReport(board, { mayPublish });
			return now(report.status === "unhealthy" ? 503 : 200, report);
		},
	],
	[
		"/ready",
		({ board }) => {
			const { ready, reasons } = readiness(board);
			return ready ? now(200, { ready }) : now(503, { ready, reasons });
		},
	],
	["/metrics", ({ metrics }) => metricsReply(metrics)],
]);

const notStored = { "Cache-Control": "no-store" };

/** What holds at this moment only. */
function now(status: number, value: unknown): HttpReply {
	return { ...json(status, value, { close: true }), headers: notStored };
}

async function metricsReply(metrics: () => Promise<string>): Promise<HttpReply> {
	try {
		return { status: 200, type: metricsContentType, body: await metrics(), headers: notStored, close: true };
	} catch (error) {
		return refusal("unavailable", (error as Error).message);
	}
}
