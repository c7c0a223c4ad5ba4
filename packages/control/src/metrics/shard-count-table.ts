import { gauge, type ReadMetric, single } from "@shardcast/telemetry";

/** How many shards a cluster has, and how many it should have. */
export interface ShardCountReading {
	readonly wanted: number;
	readonly present: number;
	/** The number follows the CPUs; false = it was given at the start, or by `scale`. */
	readonly followsCpus: boolean;
}

export const shardCountMetrics: readonly ReadMetric<ShardCountReading>[] = [
	gauge(
		"shardcast_shards_wanted",
		"none",
		"Number of shards that there should be: given at the start or by scale, or for the CPUs that there are.",
		single(({ wanted }) => wanted),
	),
	gauge(
		"shardcast_shards_present",
		"none",
		"Number of shards that there are, in any state.",
		single(({ present }) => present),
	),
	gauge(
		"shardcast_shards_follow_cpus",
		"none",
		"1 while the number of shards follows the CPUs (--shards auto, scale auto).",
		single(({ followsCpus }) => Number(followsCpus)),
	),
];
