import { statSync } from "node:fs";
import { Counter, collectDefaultMetrics, Gauge, Registry } from "prom-client";
import type { MetricValues, ProcessMetric } from "./metric.ts";

export interface CounterHandle {
	add(amount: number, labels?: Readonly<Record<string, string>>): void;
}
export interface GaugeHandle {
	set(value: number, labels?: Readonly<Record<string, string>>): void;
	/** Forgets the value with these labels: what it measured is gone, and must not be reported for ever. */
	remove(labels: Readonly<Record<string, string>>): void;
}

/**
 * Default metrics of prom-client that are left out: those that walk every handle, request or open file of the process, which
 * takes long with 10,000 sockets, and the percentiles of a loop delay that the scoreboard has already.
 */
const leftOut = [
	/^nodejs_active_(handles|requests|resources)/,
	/^nodejs_eventloop_lag_(min|max|mean|stddev|p\d+)_seconds$/,
	/^process_open_fds$/,
];
/** prom-client's own delay histogram cannot be switched off; so rarely it costs nothing. */
const delayResolutionMs = 1000;

/**
 * The metrics that a process keeps in its own memory: Node's defaults, and what its parts add. One per process, used on its
 * main thread; they begin at zero with it. The defaults are set up at the first scrape: nobody who does not scrape pays.
 */
export class ProcessMetrics {
	readonly process: string;
	readonly #own = new Registry();
	#defaults: Registry | null = null;

	/** @param process such as "shard-0": the label `process` of the defaults. @param shard label of what its parts add. */
	constructor(process: string, shard: number | null = null) {
		this.process = process;
		this.#own.setDefaultLabels(shard === null ? { process } : { shard: String(shard) });
	}

	counter({ name, help, labels }: ProcessMetric): CounterHandle {
		const counter = new Counter({ name, help, labelNames: [...labels], registers: [this.#own] });
		return { add: (amount, values) => (values === undefined ? counter.inc(amount) : counter.inc(values, amount)) };
	}

	gauge({ name, help, labels }: ProcessMetric): GaugeHandle {
		const gauge = new Gauge({ name, help, labelNames: [...labels], registers: [this.#own] });
		return {
			set: (value, values) => (values === undefined ? gauge.set(value) : gauge.set(values, value)),
			remove: (values) => gauge.remove(values),
		};
	}

	/** Everything, now. What goes wrong with a metric costs the answer, so the caller decides what that costs. */
	async values(): Promise<MetricValues[]> {
		this.#defaults ??= defaultRegistry(this.process);
		const both = await Promise.all([this.#defaults.getMetricsAsJSON(), this.#own.getMetricsAsJSON()]);
		return both.flat() as unknown as MetricValues[];
	}
}

/** Names, types and sentences of the default metrics, for the reference. */
export function defaultMetrics(): { readonly name: string; readonly type: string; readonly help: string }[] {
	return defaultRegistry("").getMetricsAsArray() as never;
}

function defaultRegistry(process: string): Registry {
	const registry = new Registry();
	registry.setDefaultLabels({ process });
	collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: delayResolutionMs });
	for (const { name } of registry.getMetricsAsArray()) if (leftOut.some((pattern) => pattern.test(name))) registry.removeSingleMetric(name);
	addOpenFiles(registry);
	return registry;
}

/** Linux 6.2 and later count the open files in the directory's size: one system call, where prom-client lists them all. */
function addOpenFiles(registry: Registry): void {
	const open = (): number => statSync("/proc/self/fd", { throwIfNoEntry: false })?.size ?? 0;
	if (open() === 0) return;
	new Gauge({
		name: "process_open_fds",
		help: "Number of open file descriptors.",
		registers: [registry],
		collect() {
			this.set(open());
		},
	});
}
