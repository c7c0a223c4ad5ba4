import { counter, gauge, type ReadMetric, single, singleBy } from "@shardcast/telemetry";

/** Counters of a shard for channels that several nodes share, since its start. */
export interface SharedChannelReading {
	/** Publications that this shard has sent to Redis, by outcome. */
	readonly published: { readonly accepted: number; readonly duplicate: number; readonly refused: number; readonly unacknowledged: number };
	/** Channels that it copies to its node, and channels that its clients want. */
	readonly followed: number;
	readonly wanted: number;
	/** Publications that it has copied to its node. */
	readonly brought: { readonly announced: number; readonly read: number };
	readonly lost: { readonly gone: number; readonly unreadable: number };
	/** Reads of the history in Redis for reconnecting clients. */
	readonly recoveryReads: number;
	readonly messages: { readonly sent: number; readonly received: number };
	readonly batches: number;
	readonly droppedMessages: { readonly offline: number; readonly full: number; readonly unreadable: number };
	readonly missedBatches: number;
	/** Bytes that compression has saved. */
	readonly savedBytes: { readonly batches: number; readonly publications: number };
}

/** Metrics of channels that several nodes share, label `shard`. */
export const sharedChannelMetrics: readonly ReadMetric<SharedChannelReading>[] = [
	counter(
		"shardcast_shared_publications_total",
		"messages",
		"Publications of this shard to channels with history, by result in Redis: accepted, duplicate = the idempotency key was used before, refused = Redis could not be reached or refused it, unacknowledged = no reply.",
		singleBy("outcome", ({ published }) => ({ ...published })),
	),
	counter(
		"shardcast_shared_brought_total",
		"messages",
		"Publications from all nodes that this shard copied to its node: announced = by pub/sub, read = from the history in Redis, because pub/sub had not delivered them.",
		singleBy("way", ({ brought }) => ({ ...brought })),
	),
	counter(
		"shardcast_shared_lost_total",
		"messages",
		"Publications that did not reach this node: gone = Redis no longer had them, unreadable = too long, damaged, or written by a newer version. Subscribers with a position were unsubscribed with 2500 and subscribed again.",
		singleBy("reason", ({ lost }) => ({ ...lost })),
	),
	gauge(
		"shardcast_shared_channels",
		"none",
		"Channels with history that this shard copies to its node (followed), and that its clients need (wanted).",
		singleBy("what", ({ followed, wanted }) => ({ followed, wanted })),
	),
	counter(
		"shardcast_shared_recovery_reads_total",
		"none",
		"Reads of the history in Redis for returning clients that had missed more than the node's memory holds.",
		single(({ recoveryReads }) => recoveryReads),
	),
	counter(
		"shardcast_node_messages_total",
		"messages",
		"Messages without history that this shard exchanged with other nodes.",
		singleBy("direction", ({ messages }) => ({ ...messages })),
	),
	counter(
		"shardcast_node_batches_total",
		"none",
		"Batches in which this shard sent them.",
		single(({ batches }) => batches),
	),
	counter(
		"shardcast_node_messages_dropped_total",
		"messages",
		"Messages without history that were not exchanged: offline = not sent, Redis could not be reached; full = too many were waiting to be sent, or to be delivered here; unreadable = received from another version, or a batch that could not be decompressed.",
		singleBy("reason", ({ droppedMessages }) => ({ ...droppedMessages })),
	),
	counter(
		"shardcast_node_batches_missed_total",
		"none",
		"Batches from other nodes that pub/sub lost.",
		single(({ missedBatches }) => missedBatches),
	),
	counter(
		"shardcast_redis_compression_saved_bytes_total",
		"bytes",
		"Bytes that this shard did not have to send to Redis because of `redis.compression`: batches of messages without history, and publications to channels with history.",
		singleBy("what", ({ savedBytes }) => ({ ...savedBytes })),
	),
];

/** Metrics of messages that backends publish to Redis, by outcome; label `shard`. */
export const redisMessageMetrics: readonly ReadMetric<
	Readonly<Record<"accepted" | "refused" | "unreadable" | "tooLong" | "busy", number>>
>[] = [
	counter(
		"shardcast_redis_published_total",
		"messages",
		"Messages that backends published to the channel of Redis for that: accepted, refused = the log says why, unreadable = no JSON or another method, too_long, busy = dropped, since 256 were in progress.",
		singleBy("result", ({ tooLong: too_long, ...others }) => ({ ...others, too_long })),
	),
];
