import type { BoardMetric, ReadMetric, Sample } from "@shardcast/telemetry";
import { counter, gauge, histogram, perShardHistogram, type Sampler, seconds, single, singleBy } from "@shardcast/telemetry";

/** Metrics of ingest from the scoreboard, which survive the shard. */
export const ingestMetrics: readonly BoardMetric[] = [
	histogram(
		"shardcast_ingest_to_send_seconds",
		"seconds",
		"Time from a record's receipt from Kafka to its hand-over to a client's socket, counted once per delivery.",
		perShardHistogram("ingestToSendMs", seconds),
	),
];

/** Values of a shard's ingest: the counters of its worker and of its loop, by name. */
export interface KafkaReading {
	readonly nowMs: number;
	readonly worker: Readonly<Record<string, number>>;
	readonly host: Readonly<Record<string, number>>;
	/** Names of the worker's counters for broker errors. */
	readonly troubles: readonly string[];
	readonly ringDepthBytes: number;
	/** All partitions known to this shard; `lagRecords` is null for those that it does not read. */
	readonly partitions: readonly KafkaPartitionReading[];
}

interface KafkaPartitionReading {
	readonly topic: string;
	readonly partition: number;
	readonly records: number;
	readonly bytes: number;
	readonly lagRecords: number | null;
}

const byTopic = (read: (partition: KafkaPartitionReading) => number): Sampler<KafkaReading> => ({
	labels: ["topic"],
	sample: ({ partitions }) => {
		const sums = new Map<string, number>();
		for (const partition of partitions) sums.set(partition.topic, (sums.get(partition.topic) ?? 0) + read(partition));
		return [...sums].map(([topic, value]) => ({ labels: { topic }, value }));
	},
});

const lagByPartition: Sampler<KafkaReading> = {
	labels: ["topic", "partition"],
	sample: ({ partitions }) =>
		partitions.flatMap(({ topic, partition, lagRecords }): Sample[] =>
			lagRecords === null ? [] : [{ labels: { topic, partition: String(partition) }, value: lagRecords }],
		),
};

/**
 * Metrics in the memory of each shard's ingest, with the label `shard`. They start at zero with the shard's process, since topics and partitions
 * are unknown when the scoreboard is created.
 */
export const kafkaMetrics: readonly ReadMetric<KafkaReading>[] = [
	counter(
		"shardcast_kafka_records_total",
		"records",
		"Records read from Kafka, by topic, delivered or not.",
		byTopic(({ records }) => records),
	),
	counter(
		"shardcast_kafka_bytes_total",
		"bytes",
		"Bytes of the values of records read from Kafka, by topic.",
		byTopic(({ bytes }) => bytes),
	),
	counter(
		"shardcast_kafka_delivered_total",
		"records",
		"Records that the event loop delivered or put on the bus.",
		single(({ host }) => host.delivered),
	),
	counter(
		"shardcast_kafka_skipped_total",
		"records",
		"Records read from Kafka and not delivered, by reason.",
		singleBy("reason", ({ worker, host }) => ({
			tombstone: worker.tombstones,
			too_large: worker.tooLarge,
			invalid_text: worker.invalidText,
			invalid_json: worker.invalidJson,
			bad_channel: worker.badChannel,
			bad_header: worker.badHeader,
			route_skipped: worker.routeSkipped,
			route_error: worker.routeErrors,
			route_invalid: worker.routeInvalid,
			route_timeout: worker.routeTimeouts,
			too_large_for_history: host.logTooLarge,
		})),
	),
	counter(
		"shardcast_kafka_dead_letters_total",
		"records",
		"Records for --kafka-dead-letter, by outcome: written; lost = Kafka did not accept them; left_to_sibling = another shard writes them; copy_dropped = the copy of such a record was dropped because too many were kept; dead_before = they already were dead letters.",
		singleBy("outcome", ({ worker }) => ({
			written: worker.deadLetters,
			lost: worker.deadLettersLost,
			left_to_sibling: worker.deadLettersLeft,
			copy_dropped: worker.deadLetterCopiesDropped,
			dead_before: worker.deadLettersSeenBefore,
		})),
	),
	gauge(
		"shardcast_kafka_dead_letters_waiting",
		"records",
		"Records for --kafka-dead-letter that Kafka has not acknowledged yet.",
		single(({ worker }) => worker.deadLettersWaiting),
	),
	gauge("shardcast_kafka_lag_records", "records", "Records of the partition that this shard has not delivered yet.", lagByPartition),
	gauge(
		"shardcast_kafka_partitions",
		"none",
		"Partitions that this shard delivers, by where their records come from: kafka, or another node that reads them for all nodes.",
		singleBy("source", ({ worker, partitions }) => {
			const delivered = partitions.filter(({ lagRecords }) => lagRecords !== null).length;
			return { kafka: Math.max(0, delivered - worker.followed!), node: worker.followed };
		}),
	),
	counter(
		"shardcast_kafka_relay_answers_total",
		"none",
		"Answers of Kafka that nodes pass on to each other, by outcome: sent; dropped = Redis could not be reached, or too many bytes were waiting; taken = those of other nodes.",
		singleBy("outcome", ({ worker }) => ({ sent: worker.relaySent, dropped: worker.relayDropped, taken: worker.relayTaken })),
	),
	counter(
		"shardcast_kafka_relay_sent_bytes_total",
		"bytes",
		"Bytes of the answers of Kafka that were passed on to other nodes.",
		single(({ worker }) => worker.relaySentBytes),
	),
	counter(
		"shardcast_kafka_follow_ends_total",
		"none",
		"Times that a partition was read from Kafka again instead of from another node, by reason: gap = a message was lost; silence = nothing came for three seconds; election = the partition has another leader; unreadable = a message could not be read.",
		singleBy("reason", ({ worker }) => ({
			gap: worker.followGaps,
			silence: worker.followSilences,
			election: worker.followElections,
			unreadable: worker.followUnreadable,
		})),
	),
	counter(
		"shardcast_kafka_history_reads_total",
		"none",
		"Times that part of a partition was read again for clients that had missed it, by result. One read serves all clients that wait for it.",
		singleBy("result", ({ worker }) => ({ read: worker.historyReads - worker.historyReadsFailed, failed: worker.historyReadsFailed })),
	),
	counter(
		"shardcast_kafka_history_records_total",
		"records",
		"Records that were read for such clients.",
		single(({ worker }) => worker.historyRecords),
	),
	gauge(
		"shardcast_kafka_ring_depth_bytes",
		"bytes",
		"Bytes in the ring between the ingest thread and the event loop.",
		single(({ ringDepthBytes }) => ringDepthBytes),
	),
	gauge(
		"shardcast_kafka_ring_high_water_bytes",
		"bytes",
		"Largest number of bytes in that ring since the shard's process started.",
		single(({ host }) => host.ringHighWaterBytes),
	),
	counter(
		"shardcast_kafka_pauses_total",
		"none",
		"Times that reading stopped because the ring or the queue of dead letters was full.",
		single(({ worker }) => worker.pauses),
	),
	counter(
		"shardcast_kafka_paused_seconds_total",
		"seconds",
		"Total time of these stops.",
		single(({ worker }) => seconds(worker.pausedMs)),
	),
	counter(
		"shardcast_kafka_bus_full_total",
		"none",
		"Times that a record had to wait because the bus, or the log of its channel, was full or locked.",
		single(({ host }) => host.busFull),
	),
	counter(
		"shardcast_kafka_position_table_busy_total",
		"none",
		"Attempts to change the position table while another shard did; they are repeated. A steady rise means that the other shard is stopped.",
		single(({ host }) => host.tableBusy),
	),
	counter(
		"shardcast_kafka_commits_total",
		"none",
		"Offset commits.",
		single(({ worker }) => worker.commits),
	),
	gauge("shardcast_kafka_commit_age_seconds", "seconds", "Time since offsets were last committed.", {
		labels: [],
		sample: ({ nowMs, worker }) =>
			worker.committedMs === 0 ? [] : [{ labels: {}, value: seconds(Math.max(0, nowMs - worker.committedMs)) }],
	}),
	gauge("shardcast_kafka_metadata_age_seconds", "seconds", "Time since the last metadata response with topics, partitions and leaders.", {
		labels: [],
		sample: ({ worker }) => (worker.lookedMs === 0 ? [] : [{ labels: {}, value: seconds(Math.max(0, Date.now() - worker.lookedMs!)) }]),
	}),
	counter(
		"shardcast_kafka_rebalances_total",
		"none",
		"Partitions that this shard started to read (assigned) or gave up (revoked).",
		singleBy("change", ({ host }) => ({ assigned: host.assignments, revoked: host.revocations })),
	),
	counter(
		"shardcast_kafka_handover_waits_total",
		"none",
		"Checks, every 100 ms, that could not hand a partition over yet because some shard had not read what its former owner put on the bus.",
		single(({ host }) => host.readerWaits),
	),
	counter(
		"shardcast_kafka_errors_total",
		"none",
		"Errors with the brokers, by kind.",
		singleBy("kind", ({ worker, troubles }) => Object.fromEntries(troubles.map((kind) => [kind, worker[kind]!]))),
	),
	counter(
		"shardcast_kafka_worker_restarts_total",
		"none",
		"Times that the ingest thread was restarted after a hung route function or a crash.",
		single(({ host }) => host.workerRestarts),
	),
	counter(
		"shardcast_kafka_produced_total",
		"messages",
		"Client messages for Kafka (--publish-via kafka), by outcome: acknowledged, failed, or unanswered in time.",
		singleBy("outcome", ({ worker, host }) => ({
			acknowledged: worker.produced,
			failed: worker.produceErrors,
			unanswered: host.publishUnanswered,
		})),
	),
];
