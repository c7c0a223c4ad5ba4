import type { HistogramReading, MetricValues, ReadMetric } from "./metric.ts";

/** The current values of the metrics in a table. Keeps no state; the cost is proportional to the number of values. */
export function readValues<Reading>(table: readonly ReadMetric<Reading>[], reading: Reading): MetricValues[] {
	return table.map((metric) => {
		const values: MetricValues["values"][number][] = [];
		for (const { labels, value } of metric.sample(reading)) {
			if (typeof value === "number") values.push({ labels, value });
			else values.push(...histogramValues(metric.name, labels, value));
		}
		return { name: metric.name, help: metric.help, type: metric.type, aggregator: "first", values };
	});
}

function histogramValues(name: string, labels: Readonly<Record<string, string>>, reading: HistogramReading): MetricValues["values"] {
	const metricName = `${name}_bucket`;
	return [
		...reading.bounds.map((bound, index) => ({ metricName, labels: { le: String(bound), ...labels }, value: reading.counts[index]! })),
		{ metricName, labels: { le: "+Inf", ...labels }, value: reading.count },
		{ metricName: `${name}_sum`, labels, value: reading.sum },
		{ metricName: `${name}_count`, labels, value: reading.count },
	];
}
