import { type AnswerRoute, gatewayConsoleRoutes, stateRoutes } from "@shardcast/http";
import type { GatewayReport } from "./monitor/gateway-report.ts";

interface GatewayRoutesParts {
	readonly report: () => GatewayReport;
	/** Whether clients need a token. */
	readonly authRequired: () => boolean;
	readonly isDraining: () => boolean;
	readonly metrics: () => Promise<string>;
	readonly consoleToken: () => string | undefined;
}

/** The console, and `/health`, `/ready` and `/metrics` of a gateway. It can take clients while at least one backend is up. */
export function gatewayRoutes({ report, authRequired, isDraining, metrics, consoleToken }: GatewayRoutesParts): AnswerRoute[] {
	const reasonsOf = ({ backends }: GatewayReport): string[] => {
		const lines = backends.filter(({ isUp }) => !isUp).map(({ id, address }) => `backend ${id} (${address}) is not connected`);
		if (backends.length === 0) lines.push("no backend has announced itself");
		if (isDraining()) lines.push("the gateway is stopping");
		return lines;
	};
	const health = () => {
		const now = report();
		const reasons = reasonsOf(now);
		const isUseful = now.backends.some(({ isUp }) => isUp);
		const status = !isUseful ? "unhealthy" : reasons.length > 0 ? "degraded" : "healthy";
		return { status, reasons, draining: isDraining(), auth: authRequired() ? "required" : "open", ...now } as const;
	};
	const readiness = () => {
		const now = report();
		return { ready: now.backends.some(({ isUp }) => isUp) && !isDraining(), reasons: reasonsOf(now) };
	};
	const page = gatewayConsoleRoutes(() => ({ token: consoleToken(), authRequired: authRequired() }), health);
	return [...stateRoutes({ health, readiness, metrics }), ...page];
}
