import type { ReadMetric } from "@shardcast/telemetry";
import { counter, gauge, single, singleBy } from "@shardcast/telemetry";

/** Sums of the counters of all logs: see `packages/channel-log`. */
interface HistoryCounts {
	readonly duplicates: number;
	readonly fullLocked: number;
	readonly fullReaders: number;
	readonly fullMemory: number;
	readonly fullKeys: number;
	readonly evictedReads: number;
	readonly evictedChannels: number;
	readonly finished: number;
	readonly feedsReplaced: number;
	readonly published: number;
	readonly locksFreed: number;
	/** Current fill levels. */
	readonly fill: HistoryFill;
}

interface HistoryFill {
	readonly usedBytes: number;
	readonly bytes: number;
	readonly channels: number;
	readonly rows: number;
	readonly keys: number;
	readonly entries: number;
}

export const historyMetrics: readonly ReadMetric<HistoryCounts>[] = [
	counter(
		"shardcast_history_publications_total",
		"messages",
		"Publications added to the history of a channel, from clients, HTTP and Kafka.",
		single(({ published }) => published),
	),
	gauge(
		"shardcast_history_fill_ratio",
		"none",
		"How full --history-memory is, by part: memory = of the bytes, 1 once new publications replace the oldest; channels = of the space for offsets and epochs (--history-channels), keys = of the space for --idempotency-keys; above 0.75 some of these do not fit.",
		singleBy("part", ({ fill }) => ({
			memory: fill.usedBytes / fill.bytes,
			channels: fill.channels / fill.rows,
			keys: fill.keys / fill.entries,
		})),
	),
	counter(
		"shardcast_history_locks_freed_total",
		"none",
		"Locks of histories that a process held when it died, or was killed because it kept one. Publishers waited for each of them.",
		single(({ locksFreed }) => locksFreed),
	),
	counter(
		"shardcast_history_evictions_total",
		"none",
		"History lost because --history-memory is full, by what shows it: channels = a channel lost its offset and epoch to another one (--history-channels), reads = a read or a recovery found publications gone that history_size and history_ttl would have kept, partitions = the place in a Kafka partition was forgotten, so that records may repeat.",
		singleBy("what", ({ evictedChannels, evictedReads, feedsReplaced }) => ({
			channels: evictedChannels,
			reads: evictedReads,
			partitions: feedsReplaced,
		})),
	),
	counter(
		"shardcast_history_full_total",
		"none",
		"Attempts to publish into a channel with history that found no room, by reason: locked = another process was publishing, readers = a shard is behind, memory = the machine has no shared memory left, keys = --idempotency-keys are in use. Most are tried again.",
		singleBy("reason", ({ fullLocked, fullReaders, fullMemory, fullKeys }) => ({
			locked: fullLocked,
			readers: fullReaders,
			memory: fullMemory,
			keys: fullKeys,
		})),
	),
	counter(
		"shardcast_history_duplicates_total",
		"messages",
		"Publications that were recognised by their idempotency key and not published again.",
		single(({ duplicates }) => duplicates),
	),
	counter(
		"shardcast_history_finished_total",
		"messages",
		"Publications that a process had committed when it was killed, and that another one completed.",
		single(({ finished }) => finished),
	),
];
