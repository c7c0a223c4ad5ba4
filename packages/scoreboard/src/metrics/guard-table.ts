import type { BoardMetric } from "@shardcast/telemetry";
import { counter, gauge, perGuard } from "@shardcast/telemetry";
import type { GuardUnit } from "../rows/guard-words.ts";

/** In the base units of Prometheus: a part of 1, seconds. */
function inBaseUnit(value: number, unit: GuardUnit): number {
	switch (unit) {
		case "percent":
			return value / 100;
		case "ms":
			return value / 1000;
		case "descriptors":
			return value;
		default:
			return unit satisfies never;
	}
}

/** Metrics of the resource guards that are on. */
export const guardMetrics: readonly BoardMetric[] = [
	gauge(
		"shardcast_guard_active",
		"none",
		"1 while the guard acts: it refuses new clients, or pauses reading from Kafka (ingest_cpu, ingest_memory). Shard all = the whole cluster.",
		perGuard(({ sinceMs }) => (sinceMs > 0 ? 1 : 0)),
	),
	gauge(
		"shardcast_guard_value",
		"none",
		"What the guard measures: a part of 1, for loop_lag seconds, for descriptors a number.",
		perGuard(({ value, unit }) => inBaseUnit(value, unit)),
	),
	gauge(
		"shardcast_guard_threshold",
		"none",
		"The value from which the guard acts, in the same unit.",
		perGuard(({ threshold, unit }) => inBaseUnit(threshold, unit)),
	),
	counter(
		"shardcast_guard_activations_total",
		"none",
		"Times that the guard has begun to act.",
		perGuard(({ times }) => times),
	),
];
