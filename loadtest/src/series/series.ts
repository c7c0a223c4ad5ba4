/** What happened in one interval. Null = not known: no delivery had a latency, no server process is on this machine. */
export interface SeriesPoint {
	/** When the interval began, in seconds since the start of the load. */
	readonly second: number;
	/** Open at the end of the interval. */
	readonly clients: number;
	/** With stages: how many should have been. */
	readonly clientsWanted: number | null;
	readonly connects: number;
	readonly connectsFailed: number;
	readonly sent: number;
	/** By the time at which they came. */
	readonly deliveries: number;
	readonly p50Ms: number | null;
	readonly p90Ms: number | null;
	readonly p95Ms: number | null;
	readonly p99Ms: number | null;
	readonly p999Ms: number | null;
	readonly maxMs: number | null;
	/** Of a core. */
	readonly generatorCpuPercent: number;
	/** Of the time, of its busiest thread. */
	readonly generatorBusyPercent: number;
	/** The latest that an event loop of it was. */
	readonly generatorLagMs: number;
	/** Of the time, in the thread with most garbage collection. */
	readonly generatorGcPercent: number;
	/** Of a core. */
	readonly serverCpuPercent: number | null;
	/** Of the latencies, to be merged with others; null = no deliveries. */
	readonly histogram: string | null;
}

/** A load over time, in intervals of the same length. */
export interface Series {
	/** By the clock of the machine, as ISO 8601. */
	readonly startedAt: string;
	readonly intervalSeconds: number;
	readonly points: readonly SeriesPoint[];
	/** Parts of intervals that a thread told so late that they are in no point. */
	readonly lateParts: number;
}

/** Most points of a series: a longer load has longer intervals. */
export const pointsMax = 3_600;
const intervalChoices = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1_800, 3_600];

/** How long the intervals of a load are that lasts so long, so that there are not too many. */
export function intervalSecondsFor(durationMs: number): number {
	return intervalChoices.find((seconds) => durationMs / 1000 / seconds <= pointsMax) ?? intervalChoices.at(-1)!;
}
