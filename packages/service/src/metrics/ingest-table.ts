import type { BoardMetric, ProcessMetric } from "./metric.ts";
import { histogram, perShardHistogram, seconds } from "./sampling.ts";

/** What the scoreboard tells of ingest: it survives the shard. */
export const ingestMetrics: readonly BoardMetric[] = [
	histogram(
		"shardcast_ingest_to_send_seconds",
		"seconds",
		"Time from a record's receipt from Kafka to its hand-over to a client's socket, counted once per delivery.",
		perShardHistogram("ingestToSendMs", seconds),
	),
];

/** What each shard's ingest keeps for itself: its labels (topics, partitions) are known only while it runs. */
export const kafkaMetrics = {
	records: {
		name: "shardcast_kafka_records_total",
		type: "counter",
		unit: "records",
		help: "Records consumed, by topic.",
		labels: ["topic"],
	},
	bytes: {
		name: "shardcast_kafka_bytes_total",
		type: "counter",
		unit: "bytes",
		help: "Bytes of the values of the records consumed, by topic.",
		labels: ["topic"],
	},
	lag: {
		name: "shardcast_kafka_lag_records",
		type: "gauge",
		unit: "records",
		help: "Records of the partition that are in Kafka and not yet with this shard's clients.",
		labels: ["topic", "partition"],
	},
	ringDepth: {
		name: "shardcast_kafka_ring_depth_bytes",
		type: "gauge",
		unit: "bytes",
		help: "Bytes in the ring between the ingest thread and the event loop.",
		labels: [],
	},
	ringHighWater: {
		name: "shardcast_kafka_ring_high_water_bytes",
		type: "gauge",
		unit: "bytes",
		help: "Most bytes that the ring has held since the shard's process began.",
		labels: [],
	},
	pauses: {
		name: "shardcast_kafka_pauses_total",
		type: "counter",
		unit: "none",
		help: "Times that consuming was paused because the ring was full.",
		labels: [],
	},
	pausedSeconds: {
		name: "shardcast_kafka_paused_seconds_total",
		type: "counter",
		unit: "seconds",
		help: "Time for which consuming was paused.",
		labels: [],
	},
	commitAge: {
		name: "shardcast_kafka_commit_age_seconds",
		type: "gauge",
		unit: "seconds",
		help: "Time since offsets were last committed.",
		labels: [],
	},
	rebalances: {
		name: "shardcast_kafka_rebalances_total",
		type: "counter",
		unit: "none",
		help: "Times that the partitions of the consumer group were shared out anew.",
		labels: [],
	},
	errors: {
		name: "shardcast_kafka_errors_total",
		type: "counter",
		unit: "none",
		help: "What went wrong with a record, the route function or the broker, by kind.",
		labels: ["kind"],
	},
} as const satisfies Record<string, ProcessMetric>;
