import { AggregatorRegistry, type MetricObject, Registry } from "prom-client";
import type { MetricValues } from "./metric.ts";

export const metricsContentType = Registry.PROMETHEUS_CONTENT_TYPE;

/**
 * The values of several processes as one answer in Prometheus' text format. Values that differ in a label (`shard`,
 * `process`) stay apart; of two that do not, the first is taken: a process that is replaced may be reported twice.
 */
export function renderMetrics(parts: readonly (readonly MetricValues[])[]): Promise<string> {
	const alike = parts.map((part) => part.map((metric) => ({ ...metric, aggregator: "first" })));
	return AggregatorRegistry.aggregate(alike as unknown as MetricObject[]).metrics();
}
