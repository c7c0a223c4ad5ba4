import { counter, gauge, perThing, type ReadMetric, single } from "@shardcast/telemetry";

interface RemoteShardReading {
	readonly id: string;
	readonly isUp: boolean;
	readonly weight: number;
	/** Connections through this balancer. */
	readonly open: number;
	readonly assigned: Readonly<Record<"connected" | "failed", number>>;
	readonly checks: Readonly<Record<"passed" | "failed", number>>;
}

/** What a balancer has counted of remote shards, since they are on its list. */
export interface RemoteReading {
	readonly shards: readonly RemoteShardReading[];
	readonly idleClosed: number;
}

const { each, eachBy } = perThing(
	"remote",
	({ shards }: RemoteReading) => shards,
	({ id }) => id,
);

export const remoteMetrics: readonly ReadMetric<RemoteReading>[] = [
	gauge(
		"shardcast_balancer_remote_up",
		"none",
		"1 for a remote shard (--remote-shards) that gets new clients, 0 for one that does not.",
		each(({ isUp }) => (isUp ? 1 : 0)),
	),
	gauge(
		"shardcast_balancer_remote_weight",
		"none",
		"Share of new clients of a remote shard, compared with the other shards; 0 = none.",
		each(({ weight }) => weight),
	),
	gauge(
		"shardcast_balancer_remote_open_connections",
		"connections",
		"Connections that a remote shard has through this balancer.",
		each(({ open }) => open),
	),
	counter(
		"shardcast_balancer_remote_assignments_total",
		"connections",
		"Connections assigned to a remote shard, by result; failed = it could not be reached, and another shard was tried, or it broke the connection without an answer.",
		eachBy("result", ({ assigned }) => assigned),
	),
	counter(
		"shardcast_balancer_remote_checks_total",
		"none",
		"Requests for a remote shard's /health, by result.",
		eachBy("result", ({ checks }) => checks),
	),
	counter(
		"shardcast_balancer_remote_idle_closed_total",
		"connections",
		"Connections to remote shards closed because nothing passed for --remote-idle-timeout.",
		single(({ idleClosed }) => idleClosed),
	),
];
