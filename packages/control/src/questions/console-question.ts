import type { RemoteShardHealth } from "@shardcast/scoreboard";
import type { Question } from "../asking/question.ts";
import type { ClusterEvent } from "../event-log.ts";
import type { ShardCountReading } from "../metrics/shard-count-table.ts";
import type { ClusterNodes } from "./cluster-nodes-question.ts";

/** A summary of a shard's Kafka ingest. Counts since its process started. */
export interface KafkaSummary {
	readonly records: number;
	/** Records in its partitions that were not delivered to its clients yet. */
	readonly lag: number;
	readonly pauses: number;
	readonly pausedMs: number;
	/** Number of broker errors and of records that were not delivered, of any kind. */
	readonly errors: number;
	readonly ringDepthBytes: number;
	readonly ringBytes: number;
}

/** A shard's values for the console. */
export interface ConsolePart {
	readonly slot: number;
	/** For each channel of the question, the number of this shard's clients that get its messages; "" = messages to everybody. */
	readonly subscribers: readonly number[];
	/** For each channel, the number of its clients in presence. */
	readonly present: readonly number[];
	/** Null without Kafka ingest. */
	readonly kafka: KafkaSummary | null;
}

interface ConsoleAnswer {
	readonly events: readonly ClusterEvent[];
	/** The parts of all shards that answered in time. */
	readonly parts: readonly ConsolePart[];
	/** Null if this node works alone. */
	readonly nodes: ClusterNodes | null;
	/** Shards of other machines to which the balancer passes clients on. */
	readonly remotes: readonly RemoteShardHealth[];
	/** Null where the number of shards cannot change. */
	readonly scaling: ShardCountReading | null;
}

/** The console's values that no single shard has: recent events, and each shard's part. */
export const consoleQuestion: Question<{ readonly channels: readonly string[] }, ConsolePart, ConsoleAnswer> = {
	name: "console",
	asks: "shards",
	deadlineMs: 500,
	check: (data) => {
		const part = data as Partial<ConsolePart> | null;
		if (typeof part?.slot !== "number" || !Array.isArray(part.subscribers) || !Array.isArray(part.present))
			throw new Error("it is not a part for the console");
		return part as ConsolePart;
	},
};
