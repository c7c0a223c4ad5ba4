import { encodeLatencies, mergeLatencies, summariseLatency } from "../report/latency.ts";
import { type Stage, valueAt } from "../stages/stages.ts";
import type { IntervalPart, IntervalUsage, SeriesClock } from "../thread/interval-recorder.ts";
import { pointsMax, type Series, type SeriesPoint } from "./series.ts";

/** Counts since the load test began, and CPU time. */
export interface SeriesCounters {
	readonly open: number;
	readonly opened: number;
	readonly failed: number;
	readonly sent: number;
	readonly generatorCpuMs: number;
	/** Null = not known. */
	readonly serverCpuMs: number | null;
}

interface OpenPoint {
	readonly histograms: string[];
	/** Of the busiest thread, in each respect; CPU of all. */
	usage: IntervalUsage;
	deliveries: number;
}

/** Points that wait for threads that are behind; older ones are closed without them. */
const openPointsMax = 30;

/** More of one point are merged. */
const histogramsMax = 64;
const idle: IntervalUsage = { utilization: 0, lagP99Ms: 0, lagMaxMs: 0, gcShare: 0, gcMaxMs: 0, cpuMs: 0 };

function busiest(one: IntervalUsage, other: IntervalUsage): IntervalUsage {
	return {
		utilization: Math.max(one.utilization, other.utilization),
		lagP99Ms: Math.max(one.lagP99Ms, other.lagP99Ms),
		lagMaxMs: Math.max(one.lagMaxMs, other.lagMaxMs),
		gcShare: Math.max(one.gcShare, other.gcShare),
		gcMaxMs: Math.max(one.gcMaxMs, other.gcMaxMs),
		cpuMs: one.cpuMs + other.cpuMs,
	};
}

/**
 * Gathers what the threads tell of each interval, and what is counted at its end. Lives in the main thread. Bounded: at most `pointsMax`
 * points, of which the last takes everything that comes later, and `openPointsMax` that are not complete.
 */
export class SeriesCollector {
	readonly #intervalSeconds: number;
	readonly #clientStages: readonly Stage[] | null;
	readonly #read: () => SeriesCounters;
	readonly #open = new Map<number, OpenPoint>();
	readonly #points: SeriesPoint[] = [];
	/** At the end of each interval, by its number. */
	readonly #counters: SeriesCounters[] = [];
	#before: SeriesCounters | null = null;
	#startedAt = new Date();
	#startMs = 0;
	#timer: NodeJS.Timeout | undefined;
	#lateParts = 0;

	/** @param read what is counted, now. */
	constructor(intervalSeconds: number, clientStages: readonly Stage[] | null, read: () => SeriesCounters) {
		this.#intervalSeconds = intervalSeconds;
		this.#clientStages = clientStages;
		this.#read = read;
	}

	/** @param nowMs by the monotonic clock. @returns what the threads cut the time by. */
	start(nowMs: number): SeriesClock {
		this.#startMs = performance.now();
		this.#startedAt = new Date();
		this.#before = this.#read();
		const intervalMs = this.#intervalSeconds * 1000;
		const tick = (): void => {
			const at = Math.round((performance.now() - this.#startMs) / intervalMs);
			if (at > 0) this.#sample(at - 1);
			this.#timer = setTimeout(tick, Math.max(1, this.#startMs + (at + 1) * intervalMs - performance.now()));
		};
		this.#timer = setTimeout(tick, intervalMs);
		return { startMs: nowMs, intervalMs };
	}

	/** What a thread saw in an interval. */
	add({ index, latencies, usage }: IntervalPart): void {
		const at = Math.min(index, pointsMax - 1);
		if (at < this.#points.length) {
			this.#lateParts++;
			return;
		}
		let point = this.#open.get(at);
		if (point === undefined) {
			point = { histograms: [], usage, deliveries: 0 };
			this.#open.set(at, point);
		} else point.usage = busiest(point.usage, usage);
		if (latencies.length > 0) point.histograms.push(encodeLatencies(latencies));
		if (point.histograms.length > histogramsMax) point.histograms.splice(0, Number.POSITIVE_INFINITY, mergeLatencies(point.histograms));
		for (let pair = 1; pair < latencies.length; pair += 2) point.deliveries += latencies[pair];
		while (this.#points.length < at - openPointsMax) this.#close();
	}

	/** Ends it, with what it has. */
	finish(): Series {
		clearTimeout(this.#timer);
		const elapsed = (performance.now() - this.#startMs) / (this.#intervalSeconds * 1000);
		const last = Math.min(pointsMax, Math.max(Math.ceil(elapsed), ...[...this.#open.keys()].map((at) => at + 1))) - 1;
		if (this.#before !== null) this.#sample(last);
		while (this.#points.length <= last) this.#close();
		return {
			startedAt: this.#startedAt.toISOString(),
			intervalSeconds: this.#intervalSeconds,
			points: this.#points,
			lateParts: this.#lateParts,
		};
	}

	#sample(index: number): void {
		const at = Math.min(index, pointsMax - 1);
		const counters = this.#read();
		// A late timer leaves intervals out: what they counted is in this one.
		while (this.#counters.length < at) this.#counters.push(this.#counters.at(-1) ?? this.#before!);
		this.#counters[at] = counters;
	}

	#close(): void {
		const at = this.#points.length;
		const { histograms, usage, deliveries } = this.#open.get(at) ?? { histograms: [], usage: idle, deliveries: 0 };
		this.#open.delete(at);
		const before = at === 0 ? this.#before! : (this.#counters[at - 1] ?? this.#before!);
		const now = this.#counters[at] ?? before;
		const second = at * this.#intervalSeconds;
		const percent = (ms: number): number => Math.max(0, ms / (this.#intervalSeconds * 10));
		const latency = histograms.length === 0 ? null : summariseLatency(histograms);
		const wanted = this.#clientStages && Math.round(valueAt(this.#clientStages, (second + this.#intervalSeconds) * 1000 - 1));
		this.#points.push({
			second,
			clients: now.open,
			clientsWanted: wanted,
			connects: now.opened - before.opened,
			connectsFailed: now.failed - before.failed,
			sent: now.sent - before.sent,
			deliveries,
			p50Ms: latency?.p50Ms ?? null,
			p90Ms: latency?.p90Ms ?? null,
			p95Ms: latency?.p95Ms ?? null,
			p99Ms: latency?.p99Ms ?? null,
			p999Ms: latency?.p999Ms ?? null,
			maxMs: latency?.maxMs ?? null,
			generatorCpuPercent: percent(now.generatorCpuMs - before.generatorCpuMs + usage.cpuMs),
			generatorBusyPercent: usage.utilization * 100,
			generatorLagMs: usage.lagMaxMs,
			generatorGcPercent: usage.gcShare * 100,
			serverCpuPercent: now.serverCpuMs === null || before.serverCpuMs === null ? null : percent(now.serverCpuMs - before.serverCpuMs),
			histogram: histograms.length === 0 ? null : histograms.length === 1 ? histograms[0] : mergeLatencies(histograms),
		});
	}
}
