import { readFileSync } from "node:fs";
import { withDeadline } from "../deadline.ts";
import { boardMetrics } from "./board-metrics.ts";
import { boardValues } from "./board-values.ts";
import { renderMetrics } from "./exposition.ts";
import type { BoardReading, MetricValues, ProcessMetric } from "./metric.ts";
import type { CounterHandle, GaugeHandle, ProcessMetrics } from "./process-metrics.ts";

/** A process that is asked for its part of the answer. */
export interface MetricsSource {
	/** Such as "shard-0": the label under which its failures are counted. */
	readonly name: string;
	request(deadlineMs: number): Promise<unknown>;
}

export interface MetricsCollectorOptions {
	/** Those that run now, without the collecting process itself. */
	readonly sources: () => readonly MetricsSource[];
	readonly board: () => BoardReading;
	readonly own: ProcessMetrics;
	readonly deadlineMs?: number;
}

/** What the collecting process keeps about the cluster and about the collecting itself. */
export const collectorMetrics = {
	build: {
		name: "shardcast_build_info",
		type: "gauge",
		unit: "none",
		help: "Always 1; its labels tell the version of shardcast and of Node.",
		labels: ["version", "node"],
	},
	scrapes: { name: "shardcast_scrapes_total", type: "counter", unit: "none", help: "Answers to GET /metrics.", labels: [] },
	scrapeErrors: {
		name: "shardcast_scrape_errors_total",
		type: "counter",
		unit: "none",
		help: "Processes that did not give their part of an answer in time; the answer went out without it.",
		labels: ["source"],
	},
	scrapeSeconds: {
		name: "shardcast_scrape_duration_seconds",
		type: "gauge",
		unit: "seconds",
		help: "Time that the answer before this one took to collect.",
		labels: [],
	},
} as const satisfies Record<string, ProcessMetric>;

/**
 * Makes the answer to GET /metrics: the scoreboard's values, and those that each process keeps for itself. One per cluster,
 * in the supervisor (in single mode, in the shard). Callers that come while an answer is being made get the same one, so
 * that many scrapers cost as much as one; a process that hangs costs its own part, after the deadline.
 */
export class MetricsCollector {
	readonly #options: MetricsCollectorOptions;
	readonly #scrapes: CounterHandle;
	readonly #scrapeErrors: CounterHandle;
	readonly #scrapeSeconds: GaugeHandle;
	#underWay: Promise<string> | null = null;

	constructor(options: MetricsCollectorOptions) {
		this.#options = options;
		const { own } = options;
		own.gauge(collectorMetrics.build).set(1, { version: ownVersion(), node: process.version });
		this.#scrapes = own.counter(collectorMetrics.scrapes);
		this.#scrapeErrors = own.counter(collectorMetrics.scrapeErrors);
		this.#scrapeSeconds = own.gauge(collectorMetrics.scrapeSeconds);
	}

	/** Resolves within little more than the deadline. */
	collect(): Promise<string> {
		this.#underWay ??= this.#collect().finally(() => {
			this.#underWay = null;
		});
		return this.#underWay;
	}

	async #collect(): Promise<string> {
		const beganMs = performance.now();
		const { sources, board, own } = this.#options;
		const parts = await Promise.all(sources().map((source) => this.#part(source)));
		this.#scrapes.add(1);
		const text = await renderMetrics([boardValues(boardMetrics, board()), await own.values(), ...parts]);
		this.#scrapeSeconds.set((performance.now() - beganMs) / 1000);
		return text;
	}

	async #part(source: MetricsSource): Promise<readonly MetricValues[]> {
		const { name } = source;
		// A counter that is not there at 0 hides its first step from every rate.
		this.#scrapeErrors.add(0, { source: name });
		const deadlineMs = this.#options.deadlineMs ?? 1000;
		try {
			const part = await withDeadline(source.request(deadlineMs), deadlineMs, `the metrics of ${name}`);
			if (!Array.isArray(part)) throw new TypeError(`${name} answered with something else`);
			return part;
		} catch {
			// Late, gone, or without metrics: the counter tells, and the supervisor watches the process by its heartbeat.
			this.#scrapeErrors.add(1, { source: name });
			return [];
		}
	}
}

function ownVersion(): string {
	const manifest = new URL("../../package.json", import.meta.url);
	return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
