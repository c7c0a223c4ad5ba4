import type { MetricObject } from "prom-client";
import type { MetricValues } from "./metric.ts";
import { loadPromClient } from "./prom-client.ts";

/** Prometheus' text format. */
export const metricsContentType = "text/plain; version=0.0.4; charset=utf-8";

/**
 * The values of several processes as one answer. Values that differ in a label (`shard`, `process`) stay apart; of two that
 * do not, the first is taken: a process that is replaced may be reported twice.
 */
export async function renderMetrics(parts: readonly (readonly MetricValues[])[]): Promise<string> {
	const { AggregatorRegistry } = loadPromClient();
	const alike = parts.map((part) => part.map((metric) => ({ ...metric, aggregator: "first" })));
	return AggregatorRegistry.aggregate(alike as unknown as MetricObject[]).metrics();
}
