import { counter, gauge, perThing, type ReadMetric } from "@shardcast/telemetry";

/** Counters of a webhook. */
interface WebhookNumbers {
	readonly name: string;
	readonly delivered: number;
	readonly dropped: number;
	/** By result. */
	readonly requests: Readonly<Record<string, number>>;
	readonly waiting: number;
	readonly oldestSeconds: number;
}

type Reading = readonly WebhookNumbers[];

const { each, eachBy } = perThing(
	"webhook",
	(webhooks: Reading) => webhooks,
	({ name }) => name,
);

/** Metrics in the memory of the process that sends webhooks; no values without a webhook. */
export const webhookMetrics: readonly ReadMetric<Reading>[] = [
	counter(
		"shardcast_webhook_events_total",
		"none",
		"Events of webhooks by result: delivered = the receiver has them; dropped = the queue was full, or a shard had more events than its ring holds; the receiver sees the gap in their numbers.",
		eachBy("result", ({ delivered, dropped }) => ({ delivered, dropped })),
	),
	counter(
		"shardcast_webhook_requests_total",
		"none",
		"Requests of webhooks by result: ok = a status from 200 to 299; every other result is a failure, and its events are sent again.",
		eachBy("result", ({ requests }) => requests),
	),
	gauge(
		"shardcast_webhook_waiting_events",
		"none",
		"Events that the receiver has not acknowledged yet.",
		each(({ waiting }) => waiting),
	),
	gauge(
		"shardcast_webhook_oldest_seconds",
		"seconds",
		"Age of the oldest event that the receiver has not acknowledged; 0 = none waits.",
		each(({ oldestSeconds }) => oldestSeconds),
	),
];
