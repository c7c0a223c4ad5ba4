import type { Series, SeriesPoint } from "./series.ts";

/** Columns of the CSV file, in order: their names stay the same from version to version. */
const columns = {
	time: (_point, at) => at,
	second: ({ second }) => second,
	clients: ({ clients }) => clients,
	clients_wanted: ({ clientsWanted }) => clientsWanted,
	connects: ({ connects }) => connects,
	connects_failed: ({ connectsFailed }) => connectsFailed,
	sent: ({ sent }) => sent,
	deliveries: ({ deliveries }) => deliveries,
	p50_ms: ({ p50Ms }) => p50Ms,
	p90_ms: ({ p90Ms }) => p90Ms,
	p95_ms: ({ p95Ms }) => p95Ms,
	p99_ms: ({ p99Ms }) => p99Ms,
	p999_ms: ({ p999Ms }) => p999Ms,
	max_ms: ({ maxMs }) => maxMs,
	generator_cpu_percent: ({ generatorCpuPercent }) => generatorCpuPercent,
	generator_busy_percent: ({ generatorBusyPercent }) => generatorBusyPercent,
	generator_lag_ms: ({ generatorLagMs }) => generatorLagMs,
	generator_gc_percent: ({ generatorGcPercent }) => generatorGcPercent,
	server_cpu_percent: ({ serverCpuPercent }) => serverCpuPercent,
} as const satisfies Readonly<Record<string, (point: SeriesPoint, at: string) => number | string | null>>;

/** One line per interval, after one with the names. What is not known is empty. */
export function seriesCsv({ startedAt, points }: Series): string {
	const startMs = Date.parse(startedAt);
	const lines = points.map((point) => {
		const at = new Date(startMs + point.second * 1000).toISOString();
		return Object.values(columns).map((column) => cell(column(point, at)));
	});
	return [Object.keys(columns), ...lines].map((cells) => `${cells.join(",")}\n`).join("");
}

/** Three decimals: a microsecond, or a thousandth of a percent. */
function cell(value: number | string | null): string {
	if (value === null) return "";
	return typeof value === "number" ? String(Math.round(value * 1000) / 1000) : value;
}
