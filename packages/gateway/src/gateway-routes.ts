import { type AnswerRoute, gatewayConsoleRoutes, stateRoutes } from "@shardcast/http";
import { type HealthReport, healthReport, readiness, type Scoreboard } from "@shardcast/scoreboard";
import type { GatewayReport } from "./monitor/gateway-report.ts";

type Status = HealthReport["status"];

interface ProcessesHealth {
	/** Whether all serve. */
	readonly ready: boolean;
	/** What is wrong with them; includes that they stop. */
	readonly reasons: readonly string[];
	/** More for the body of `/health`. */
	readonly details: Pick<HealthReport, "mode" | "shards" | "balancer">;
}

interface GatewayRoutesParts {
	readonly report: () => GatewayReport | Promise<GatewayReport>;
	/** The state of its processes; null = it is only one. */
	readonly processes: (() => ProcessesHealth) | null;
	/** Whether clients need a token. */
	readonly authRequired: () => boolean;
	readonly isDraining: () => boolean;
	readonly metrics: () => Promise<string>;
	readonly consoleToken: () => string | undefined;
}

/** The console, and `/health`, `/ready` and `/metrics` of a gateway. It can take clients while at least one backend is up. */
export function gatewayRoutes(parts: GatewayRoutesParts): AnswerRoute[] {
	const { report, processes, authRequired, isDraining, metrics, consoleToken } = parts;
	const reasonsOf = ({ backends }: GatewayReport, state: ProcessesHealth | null): string[] => {
		const lines = backends.filter(({ isUp }) => !isUp).map(({ id, address }) => `backend ${id} (${address}) is not connected`);
		if (backends.length === 0) lines.push("no backend has announced itself");
		if (state !== null) lines.push(...state.reasons);
		else if (isDraining()) lines.push("the gateway is stopping");
		return lines;
	};
	const isUseful = ({ backends }: GatewayReport) => backends.some(({ isUp }) => isUp);
	const healthOf = (now: GatewayReport) => {
		const state = processes?.() ?? null;
		const reasons = reasonsOf(now, state);
		const status: Status = !isUseful(now) ? "unhealthy" : reasons.length > 0 ? "degraded" : "healthy";
		return { status, reasons, draining: isDraining(), auth: authRequired() ? "required" : "open", ...now, ...state?.details } as const;
	};
	const readinessOf = (now: GatewayReport) => {
		const state = processes?.() ?? null;
		return { ready: isUseful(now) && !isDraining() && state?.ready !== false, reasons: reasonsOf(now, state) };
	};
	const health = () => using(report(), healthOf);
	const ready = () => using(report(), readinessOf);
	const page = gatewayConsoleRoutes(() => ({ token: consoleToken(), authRequired: authRequired() }), health);
	return [...stateRoutes({ health, readiness: ready, metrics }), ...page];
}

function using<T, Result>(value: T | Promise<T>, use: (value: T) => Result): Result | Promise<Result> {
	return value instanceof Promise ? value.then(use) : use(value);
}

/** The state of the processes behind a balancer, by the scoreboard. */
export function processesHealth(board: Scoreboard): ProcessesHealth {
	const names = { process: "gateway", whole: "gateway" };
	const { mode, shards, balancer, reasons } = healthReport(board, {
		auth: "open",
		mayPublish: { http: "nobody", webSocket: "nobody" },
		names,
	});
	return { ready: readiness(board, { names }).ready, reasons, details: { mode, shards, balancer } };
}
