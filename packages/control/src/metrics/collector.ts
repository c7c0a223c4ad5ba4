import { readFileSync } from "node:fs";
import { withDeadline } from "@shardcast/process";
import { boardMetrics } from "@shardcast/scoreboard";
import type { BoardReading, Log, MetricValues, ProcessMetrics } from "@shardcast/telemetry";
import { checkValues, readValues, renderMetrics } from "@shardcast/telemetry";
import { collectorMetrics } from "./collector-table.ts";

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
	/** Told when a process's part begins to be missing; needed where there are sources. */
	readonly log?: Pick<Log, "warn">;
	readonly deadlineMs?: number;
}

/**
 * Makes the answer to GET /metrics: the scoreboard's values, and those that each process keeps for itself. One per cluster,
 * in the supervisor (in single mode, in the shard). Callers that come while an answer is being made get the same one, so
 * that many scrapers cost as much as one; a process that hangs costs its own part, after the deadline.
 */
export class MetricsCollector {
	readonly #options: MetricsCollectorOptions;
	/** By source; as many as there have been processes by that name. */
	readonly #scrapeErrors = new Map<string, number>();
	/** Sources whose part was missing in the last answer: told once, not at each scrape. */
	readonly #missing = new Set<string>();
	#scrapes = 0;
	#lastScrapeSeconds = 0;
	#underWay: Promise<string> | null = null;

	constructor(options: MetricsCollectorOptions) {
		this.#options = options;
		const version = ownVersion();
		options.own.addReading(collectorMetrics, () => ({
			version,
			scrapes: this.#scrapes,
			scrapeErrors: this.#scrapeErrors,
			lastScrapeSeconds: this.#lastScrapeSeconds,
		}));
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
		this.#scrapes++;
		const text = await renderMetrics([readValues(boardMetrics, board()), await own.values(), ...parts]);
		this.#lastScrapeSeconds = (performance.now() - beganMs) / 1000;
		return text;
	}

	async #part(source: MetricsSource): Promise<readonly MetricValues[]> {
		const { name } = source;
		// A counter that is not there at 0 hides its first step from every rate.
		const errors = this.#scrapeErrors.get(name) ?? 0;
		this.#scrapeErrors.set(name, errors);
		const deadlineMs = this.#options.deadlineMs ?? 1000;
		try {
			const part = checkValues(await withDeadline(source.request(deadlineMs), deadlineMs, `the metrics of ${name}`));
			this.#missing.delete(name);
			return part;
		} catch (error) {
			// Late, gone, or no metrics. Whether the process is well, the supervisor sees by its heartbeat.
			this.#scrapeErrors.set(name, errors + 1);
			if (!this.#missing.has(name)) this.#options.log?.warn(`/metrics goes out without ${name}: ${(error as Error).message}`);
			this.#missing.add(name);
			return [];
		}
	}
}

function ownVersion(): string {
	const manifest = new URL("../../package.json", import.meta.url);
	return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
}
