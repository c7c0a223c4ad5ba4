import type { ReadMetric } from "@shardcast/telemetry";
import { counter, gauge, single } from "@shardcast/telemetry";

/** Values of the collecting process, about itself and the collection. */
interface CollectorReading {
	readonly version: string;
	readonly scrapes: number;
	/** By question, then by process. */
	readonly missing: ReadonlyMap<string, ReadonlyMap<string, number>>;
	readonly lastScrapeSeconds: number;
}

export const collectorMetrics: readonly ReadMetric<CollectorReading>[] = [
	gauge("shardcast_build_info", "none", "Always 1; its labels are the versions of shardcast and Node.", {
		labels: ["version", "node"],
		sample: ({ version }) => [{ labels: { version, node: process.version }, value: 1 }],
	}),
	counter(
		"shardcast_scrapes_total",
		"none",
		"Responses to GET /metrics.",
		single(({ scrapes }) => scrapes),
	),
	counter(
		"shardcast_missing_answers_total",
		"none",
		"Times that a process did not contribute to an answer, was too late, or sent an invalid part; the answer was sent without it.",
		{
			labels: ["question", "source"],
			sample: ({ missing }) =>
				[...missing].flatMap(([question, counts]) => [...counts].map(([source, value]) => ({ labels: { question, source }, value }))),
		},
	),
	gauge(
		"shardcast_scrape_duration_seconds",
		"seconds",
		"Time taken to collect the previous response.",
		single(({ lastScrapeSeconds }) => lastScrapeSeconds),
	),
];
