import { healthReport, readiness, type Scoreboard } from "@shardcast/bus";
import { type Config, metricsContentType } from "@shardcast/service";
import { type HttpReply, json, refusal } from "./http-reply.ts";

export interface RoutesParts {
	readonly board: Scoreboard;
	readonly config: Pick<Config, "heartbeatTimeoutMs">;
	/** The metrics of the whole cluster. */
	readonly metrics: () => Promise<string>;
}

/** Answers what is about the cluster and not about this shard, the same as the balancer does. Every answer ends its connection. */
export function answerRequest(method: string, path: string, { board, config, metrics }: RoutesParts): HttpReply | Promise<HttpReply> {
	if (method === "get" || method === "head") {
		switch (path) {
			case "/health": {
				const report = healthReport(board, config);
				return json(report.status === "unhealthy" ? 503 : 200, report, { close: true });
			}
			case "/ready": {
				const { ready, reasons } = readiness(board, config);
				return ready ? json(200, { ready }, { close: true }) : json(503, { ready, reasons }, { close: true });
			}
			case "/metrics":
				return metricsReply(metrics);
		}
	}
	return refusal("not_found", `there is nothing at ${method.toUpperCase()} ${path.slice(0, 200)}`);
}

async function metricsReply(metrics: () => Promise<string>): Promise<HttpReply> {
	try {
		return { status: 200, type: metricsContentType, body: await metrics(), headers: {}, close: true };
	} catch (error) {
		return refusal("unavailable", (error as Error).message);
	}
}
