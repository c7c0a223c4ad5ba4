import { mergeLatencies, summariseLatency } from "../report/latency.ts";
import type { Series, SeriesPoint } from "../series/series.ts";

/** By the clocks of two machines, which may differ, one may have ended so long before the other began. */
const gapSecondsMax = 30;

/** One series of several, by the clocks of their machines, to the nearest interval. @throws RangeError when they can not be put together. */
export function mergeSeries(series: readonly Series[]): Series {
	const [{ intervalSeconds }] = series;
	const other = series.find((one) => one.intervalSeconds !== intervalSeconds);
	if (other !== undefined)
		throw new RangeError(
			`one series has intervals of ${intervalSeconds} s and another of ${other.intervalSeconds} s: give all load tests the same duration`,
		);
	const starts = series.map(({ startedAt }) => Date.parse(startedAt));
	const startMs = Math.min(...starts);
	const offsets = starts.map((ms) => Math.round((ms - startMs) / (intervalSeconds * 1000)));
	const ends = series.map(({ points }, index) => offsets[index] + points.length);
	const length = Math.max(...ends);
	// So it has at most twice as many points as one, and these few.
	if ((Math.max(...offsets) - Math.min(...ends)) * intervalSeconds > gapSecondsMax)
		throw new RangeError(
			`the load tests began ${Math.round(Math.max(...starts) - startMs) / 1000} s apart; merge those that ran at the same time`,
		);
	return {
		startedAt: new Date(startMs).toISOString(),
		intervalSeconds,
		points: Array.from({ length }, (_, at) => {
			const points = series.map((one, index) => one.points[at - offsets[index]]).filter((point) => point !== undefined);
			return mergePoints(at * intervalSeconds, points);
		}),
		lateParts: series.reduce((sum, { lateParts }) => sum + lateParts, 0),
	};
}

function mergePoints(second: number, points: readonly SeriesPoint[]): SeriesPoint {
	const sum = (pick: (point: SeriesPoint) => number): number => points.reduce((total, point) => total + pick(point), 0);
	const most = (pick: (point: SeriesPoint) => number): number => Math.max(0, ...points.map(pick));
	const known = (pick: (point: SeriesPoint) => number | null): number[] => points.map(pick).filter((value) => value !== null);
	const histograms = points.map(({ histogram }) => histogram).filter((histogram) => histogram !== null);
	const histogram = histograms.length === 0 ? null : mergeLatencies(histograms);
	const latency = histogram === null ? null : summariseLatency([histogram]);
	const wanted = known(({ clientsWanted }) => clientsWanted);
	const serverCpu = known(({ serverCpuPercent }) => serverCpuPercent);
	return {
		second,
		clients: sum(({ clients }) => clients),
		clientsWanted: wanted.length === 0 ? null : wanted.reduce((total, count) => total + count, 0),
		connects: sum(({ connects }) => connects),
		connectsFailed: sum(({ connectsFailed }) => connectsFailed),
		sent: sum(({ sent }) => sent),
		deliveries: sum(({ deliveries }) => deliveries),
		p50Ms: latency?.p50Ms ?? null,
		p90Ms: latency?.p90Ms ?? null,
		p95Ms: latency?.p95Ms ?? null,
		p99Ms: latency?.p99Ms ?? null,
		p999Ms: latency?.p999Ms ?? null,
		maxMs: latency?.maxMs ?? null,
		generatorCpuPercent: sum(({ generatorCpuPercent }) => generatorCpuPercent),
		generatorBusyPercent: most(({ generatorBusyPercent }) => generatorBusyPercent),
		generatorLagMs: most(({ generatorLagMs }) => generatorLagMs),
		generatorGcPercent: most(({ generatorGcPercent }) => generatorGcPercent),
		// Several that see the same server see the same CPU.
		serverCpuPercent: serverCpu.length === 0 ? null : Math.max(...serverCpu),
		histogram,
	};
}
