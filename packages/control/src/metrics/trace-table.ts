import { counter, gauge, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

interface TraceReading {
	readonly spans: Readonly<Record<"exported" | "dropped" | "failed", number>>;
	/** By result. */
	readonly requests: Readonly<Record<string, number>>;
	readonly limited: number;
	readonly waiting: number;
}

/** Metrics of the export of traces in each shard's memory; no values without `--otlp-endpoint`. */
export const traceMetrics: readonly ReadMetric<TraceReading>[] = [
	counter(
		"shardcast_trace_spans_total",
		"none",
		"Spans of traces by result: exported = the collector has them; dropped = 4,096 were waiting; failed = the collector did not take them, or could not be reached for a minute and a half.",
		singleBy("result", ({ spans }) => ({ ...spans })),
	),
	counter(
		"shardcast_trace_requests_total",
		"none",
		"Requests to the collector of traces by result; every result except ok is a failure.",
		singleBy("result", ({ requests }) => requests),
	),
	gauge(
		"shardcast_trace_waiting_spans",
		"none",
		"Spans that the collector has not acknowledged yet.",
		single(({ waiting }) => waiting),
	),
	counter(
		"shardcast_traces_limited_total",
		"none",
		"Publications and calls that were to be traced, but were not: the shard records at most 1,000 traces a second.",
		single(({ limited }) => limited),
	),
];

interface SlowMessageReading {
	readonly slow: number;
}

/** Metrics of the log of slow messages in each shard's memory. */
export const slowMessageMetrics: readonly ReadMetric<SlowMessageReading>[] = [
	counter(
		"shardcast_slow_messages_total",
		"none",
		"Publications that took longer than --slow-message-log from publish to the last write to a socket of this shard; 0 while that is off. The log has at most one line about them in two seconds.",
		single(({ slow }) => slow),
	),
];
