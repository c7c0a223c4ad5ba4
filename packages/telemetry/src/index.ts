export { BoundedLines } from "./bounded-lines.ts";
export { createLog, type Log, shapeOf, silentLog } from "./log.ts";
export { checkValues } from "./metrics/check-values.ts";
export { metricsContentType, renderMetrics } from "./metrics/exposition.ts";
export type { BoardMetric, BoardReading, HistogramReading, MetricDescriptor, MetricValues, ReadMetric, Sample } from "./metrics/metric.ts";
export { defaultMetrics, ProcessMetrics } from "./metrics/process-metrics.ts";
export { readValues } from "./metrics/read-values.ts";
export {
	counter,
	gauge,
	histogram,
	ofBalancer,
	ofBalancerBy,
	ofBalancerHistogram,
	oneOf,
	perGuard,
	perShard,
	perShardBy,
	perShardHistogram,
	perThing,
	type Sampler,
	seconds,
	single,
	singleBy,
} from "./metrics/sampling.ts";
export { type Span, type SpanAttributes, SpanKind } from "./tracing/span.ts";
export { SpanExporter, type TraceCaller } from "./tracing/span-exporter.ts";
export {
	decodeTraceContext,
	encodeTraceContext,
	type TraceContext,
	TraceHeader,
	traceContextOf,
	traceparentOf,
} from "./tracing/trace-context.ts";
export { TraceSampler } from "./tracing/trace-sampler.ts";
export { type ActiveSpan, Tracer, unixMs } from "./tracing/tracer.ts";
