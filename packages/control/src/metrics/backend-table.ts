import { counter, gauge, type HistogramReading, histogram, type ReadMetric, type Sample } from "@shardcast/telemetry";

/** A kind of request to a backend. */
export interface BackendReading {
	/** Such as `connect`. */
	readonly hook: string;
	/** The name of the proxy. */
	readonly proxy: string;
	/** By outcome. */
	readonly results: Readonly<Record<string, number>>;
	readonly statuses: ReadonlyMap<number, number>;
	readonly repeats: number;
	readonly passes: number;
	readonly running: number;
	readonly waiting: number;
	readonly seconds: HistogramReading;
}

type Reading = readonly BackendReading[];

/** Values for each kind of request, with its labels. */
const each = (labels: readonly string[], samples: (one: BackendReading) => Sample[]) => ({
	labels: ["hook", "proxy", ...labels],
	sample: (reading: Reading) =>
		reading.flatMap((one) => samples(one).map(({ labels, value }) => ({ labels: { hook: one.hook, proxy: one.proxy, ...labels }, value }))),
});
const byName = (label: string, values: Readonly<Record<string, number>>): Sample[] =>
	Object.entries(values).map(([name, value]) => ({ labels: { [label]: name }, value }));

/** Metrics of requests to backends in each shard's memory, with the label `shard`. */
export const backendMetrics: readonly ReadMetric<Reading>[] = [
	counter(
		"shardcast_hook_requests_total",
		"none",
		"Requests to backends about clients, by hook, proxy (default = the hook's own) and result: reply; abandoned = the client left first; or why there is no reply: timeout, unreachable, tls, reset, protocol, redirect, status, too_large, invalid, queue_full, stopped.",
		each(["result"], ({ results }) => byName("result", results)),
	),
	counter(
		"shardcast_hook_statuses_total",
		"none",
		"Replies of backends with an HTTP status other than 200.",
		each(["status"], ({ statuses }) => [...statuses].map(([status, value]) => ({ labels: { status: String(status) }, value }))),
	),
	counter(
		"shardcast_hook_repeats_total",
		"none",
		"Requests that were sent a second time because the backend had closed the kept-alive connection.",
		each([], ({ repeats }) => [{ labels: {}, value: repeats }]),
	),
	counter(
		"shardcast_hook_passes_total",
		"none",
		"Failed requests after which the client continued anyway, because of on_failure.",
		each([], ({ passes }) => [{ labels: {}, value: passes }]),
	),
	gauge(
		"shardcast_hook_pending",
		"none",
		"Requests to backends that have no reply yet: running = sent, waiting = for one of max_requests.",
		each(["state"], ({ running, waiting }) => byName("state", { running, waiting })),
	),
	histogram(
		"shardcast_hook_duration_seconds",
		"seconds",
		"Time from a client's command to the backend's reply or failure, including the wait for one of max_requests.",
		each([], ({ seconds }) => [{ labels: {}, value: seconds }]),
	),
];
