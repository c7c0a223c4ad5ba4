import { counter, type ReadMetric, singleBy } from "@shardcast/telemetry";

interface ApiReading {
	/** By the name of the key. */
	readonly requests: Readonly<Record<string, number>>;
	/** By reason. */
	readonly refused: Readonly<Record<string, number>>;
	/** By limit. */
	readonly overLimit: Readonly<Record<string, number>>;
}

/** Metrics of the HTTP API in each shard's memory, with the label `shard`. */
export const apiMetrics: readonly ReadMetric<ApiReading>[] = [
	counter(
		"shardcast_api_requests_total",
		"none",
		"Requests to the HTTP API with a valid key, by the name of the key; http_api.key is the one without a name.",
		singleBy("key", ({ requests }) => requests),
	),
	counter(
		"shardcast_api_refused_total",
		"none",
		"Requests to the HTTP API that were refused: unauthorized = no valid key; forbidden = the key has no right to the method or the channel.",
		singleBy("reason", ({ refused }) => refused),
	),
	counter(
		"shardcast_api_over_limit_total",
		"none",
		"What the server API refused because of a limit: requests = the shard was already handling 256 (503); replies = commands of a batch after 16 MiB of replies (error 106).",
		singleBy("limit", ({ overLimit }) => overLimit),
	),
];
