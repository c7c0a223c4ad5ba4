import { openFiles } from "@shardcast/process";
import type { Registry } from "prom-client";
import type { MetricDescriptor, MetricValues, ReadMetric } from "./metric.ts";
import { loadPromClient } from "./prom-client.ts";
import { readValues } from "./read-values.ts";

/**
 * Default metrics of prom-client that are left out: those that walk every handle, request or open file of the process, which takes long with
 * 10,000 sockets, and percentiles of the loop delay, which the scoreboard already has.
 */
const leftOut = [
	/^nodejs_active_(handles|requests|resources)/,
	/^nodejs_eventloop_lag_(min|max|mean|stddev|p\d+)_seconds$/,
	/^process_open_fds$/,
];
/** prom-client's delay histogram cannot be switched off; at this interval its cost is negligible. */
const delayResolutionMs = 1000;

/**
 * The metrics of one process: Node's defaults, and those that its parts keep in memory. One per process, used on its main thread; they start at
 * zero with the process. prom-client is loaded, and the defaults are set up, at the first scrape: without scrapes they cost nothing.
 */
export class ProcessMetrics {
	readonly #process: string;
	readonly #label: Readonly<Record<string, string>>;
	readonly #readings: (() => readonly MetricValues[])[] = [];
	#defaults: Promise<Registry> | null = null;

	/** @param process the label `process` of the defaults, such as "shard-0". @param shard the label `shard` of the other metrics. */
	constructor(process: string, shard: number | null = null) {
		this.#process = process;
		this.#label = shard === null ? { process } : { shard: String(shard) };
	}

	/** Adds the metrics of a part; `read` is called at each scrape. */
	addReading<Reading>(table: readonly ReadMetric<Reading>[], read: () => Reading): void {
		this.#readings.push(() =>
			readValues(table, read()).map((metric) => ({
				...metric,
				values: metric.values.map((value) => ({ ...value, labels: { ...value.labels, ...this.#label } })),
			})),
		);
	}

	/** All current values. If reading a metric throws, so does this; the caller decides what to do. */
	async values(): Promise<MetricValues[]> {
		// If loading failed, for example for lack of descriptors, the next scrape tries again.
		this.#defaults ??= defaultRegistry(this.#process).catch((error: unknown) => {
			this.#defaults = null;
			throw error;
		});
		const defaults = (await (await this.#defaults).getMetricsAsJSON()) as unknown as MetricValues[];
		return [...defaults, ...this.#readings.flatMap((read) => read())];
	}
}

/** Names, types and descriptions of the default metrics, for the reference documentation. */
export async function defaultMetrics(): Promise<readonly Pick<MetricDescriptor, "name" | "type" | "help">[]> {
	return (await defaultRegistry("")).getMetricsAsArray() as never;
}

async function defaultRegistry(process: string): Promise<Registry> {
	const { collectDefaultMetrics, Gauge, Registry } = loadPromClient();
	const registry = new Registry();
	registry.setDefaultLabels({ process });
	collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: delayResolutionMs });
	for (const { name } of registry.getMetricsAsArray()) if (leftOut.some((pattern) => pattern.test(name))) registry.removeSingleMetric(name);
	if (openFiles() !== null) {
		new Gauge({
			name: "process_open_fds",
			help: "Number of open file descriptors.",
			registers: [registry],
			collect() {
				this.set(openFiles() ?? 0);
			},
		});
	}
	return registry;
}
