import { counter, gauge, type ReadMetric, seconds, single, singleBy } from "@shardcast/telemetry";

/** A process's counters of the outbox in PostgreSQL, from `packages/postgres`. */
interface OutboxReading {
	readonly published: number;
	readonly duplicate: number;
	readonly dead: number;
	readonly later: number;
	readonly lost: number;
	readonly isReader: boolean;
	readonly ageMs: number;
	readonly waitingChannels: number;
}

export const outboxMetrics: readonly ReadMetric<OutboxReading>[] = [
	gauge(
		"shardcast_outbox_reader",
		"none",
		"1 in the process that publishes the outbox now, 0 in others. One of all nodes does.",
		single(({ isReader }) => Number(isReader)),
	),
	counter(
		"shardcast_outbox_rows_total",
		"none",
		"Rows of the outbox by result: published; duplicate = recognised by the idempotency key and not published again; failed = moved to outbox_dead.",
		singleBy("result", ({ published, duplicate, dead }) => ({ published, duplicate, failed: dead })),
	),
	counter(
		"shardcast_outbox_retries_total",
		"none",
		"Times that a row could not be published and was left for another try.",
		single(({ later }) => later),
	),
	gauge(
		"shardcast_outbox_lag_seconds",
		"seconds",
		"How long ago the oldest row that is not published was inserted; 0 = none waits, or another process publishes the outbox.",
		single(({ ageMs }) => seconds(ageMs)),
	),
	gauge(
		"shardcast_outbox_waiting_channels",
		"none",
		"Channels whose oldest row could not be published and is tried again.",
		single(({ waitingChannels }) => waitingChannels),
	),
	counter(
		"shardcast_outbox_connections_lost_total",
		"none",
		"Times that the connection to PostgreSQL was lost or could not be opened.",
		single(({ lost }) => lost),
	),
];
