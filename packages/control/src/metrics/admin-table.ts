import { counter, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

/** Requests of the admin interface over HTTP, since the start of the process. */
interface AdminRequestReading {
	readonly admitted: number;
	readonly off: number;
	readonly missingKey: number;
	readonly wrongKey: number;
	readonly limited: number;
}

export const adminRequestMetrics: readonly ReadMetric<AdminRequestReading>[] = [
	counter(
		"shardcast_admin_requests_total",
		"none",
		"Requests of the admin interface over HTTP, by result: admitted, off = there is no --admin-key, missing_key, wrong_key, limited = refused, since its address has shown too many wrong keys.",
		singleBy("result", ({ admitted, off, missingKey, wrongKey, limited }) => ({
			admitted,
			off,
			missing_key: missingKey,
			wrong_key: wrongKey,
			limited,
		})),
	),
];

/** Operations that have ended, by outcome. */
type AdminOperationReading = Readonly<Record<"done" | "partly" | "refused" | "failed", number>>;

export const adminOperationMetrics: readonly ReadMetric<AdminOperationReading>[] = [
	counter(
		"shardcast_admin_operations_total",
		"none",
		"Commands of the admin interface that change something, by outcome; partly = only a part was done, refused = nothing has changed, failed = an error on the way.",
		singleBy("outcome", (counts) => ({ ...counts })),
	),
];

/** Connections of the admin socket, since the start. */
export interface AdminSocketReading {
	closedForRoom: number;
}

export const adminSocketMetrics: readonly ReadMetric<AdminSocketReading>[] = [
	counter(
		"shardcast_admin_connections_closed_total",
		"none",
		"Connections of the admin socket that were closed because it had as many as it takes: the oldest that had not sent a whole request, or, without one, the new one.",
		single(({ closedForRoom }) => closedForRoom),
	),
];
