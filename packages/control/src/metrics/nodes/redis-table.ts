import { counter, gauge, type HistogramReading, histogram, oneOf, type ReadMetric, seconds, single, singleBy } from "@shardcast/telemetry";

const redisStates = ["connecting", "ready", "closed"] as const;

/** A process's counters of its connection to Redis since its start, from `packages/redis`. */
interface RedisReading {
	readonly state: (typeof redisStates)[number];
	readonly waiting: number;
	readonly subscriptions: number;
	readonly counts: {
		readonly answered: number;
		readonly failed: Readonly<Record<"unavailable" | "interrupted" | "refused" | "full" | "closed", number>>;
		readonly lost: number;
		readonly messages: number;
		/** In milliseconds. */
		latency(): HistogramReading;
	};
}

export const redisMetrics: readonly ReadMetric<RedisReading>[] = [
	gauge(
		"shardcast_redis_state",
		"none",
		"1 for the current state of the connection to Redis, 0 for the others.",
		singleBy("state", ({ state }) => oneOf(redisStates, state)),
	),
	counter(
		"shardcast_redis_commands_total",
		"none",
		"Commands by result: unavailable = not sent, Redis could not be reached; interrupted = no reply, they may have been carried out; refused = Redis replied with an error; full = not sent, too many were waiting; closed = not sent, this process is stopping.",
		singleBy("result", ({ counts: { answered, failed } }) => ({ ok: answered - failed.refused, ...failed })),
	),
	histogram("shardcast_redis_command_seconds", "seconds", "Time from sending a command to its reply.", {
		labels: [],
		sample: ({ counts }: RedisReading) => {
			const latency = counts.latency();
			return [{ labels: {}, value: { ...latency, bounds: latency.bounds.map(seconds), sum: seconds(latency.sum) } }];
		},
	}),
	gauge(
		"shardcast_redis_waiting",
		"none",
		"Commands that wait until Redis can be reached.",
		single(({ waiting }) => waiting),
	),
	counter(
		"shardcast_redis_connections_lost_total",
		"none",
		"Times that the connection to Redis was lost.",
		single(({ counts }) => counts.lost),
	),
	gauge(
		"shardcast_redis_subscriptions",
		"none",
		"Redis channels that this process is subscribed to.",
		single(({ subscriptions }) => subscriptions),
	),
	counter(
		"shardcast_redis_messages_total",
		"messages",
		"Messages received from these channels.",
		single(({ counts }) => counts.messages),
	),
];
