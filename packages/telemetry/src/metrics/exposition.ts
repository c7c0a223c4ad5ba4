import type { MetricObject } from "prom-client";
import type { MetricValues } from "./metric.ts";
import { loadPromClient } from "./prom-client.ts";

/** Prometheus' text format. */
export const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/**
 * Merges the values of several processes into one response. Values that differ in a label (`shard`, `process`) stay separate; of two with the same
 * labels the first is used, because a process that is being replaced may report twice.
 */
export async function renderMetrics(parts: readonly (readonly MetricValues[])[]): Promise<string> {
	const { AggregatorRegistry } = loadPromClient();
	const alike = parts.map((part) => part.map((metric) => ({ ...metric, aggregator: "first" })));
	return AggregatorRegistry.aggregate(alike as unknown as MetricObject[]).metrics();
}
