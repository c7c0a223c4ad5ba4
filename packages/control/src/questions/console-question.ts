import type { ClusterEvent } from "../event-log.ts";
import type { Question } from "./question.ts";

/** One shard's Kafka ingest at a glance. Counts since its process began. */
export interface KafkaGlance {
	readonly records: number;
	/** Records that are in its partitions and not yet with its clients. */
	readonly lag: number;
	readonly pauses: number;
	readonly pausedMs: number;
	/** Troubles and records that were not delivered, of any kind. */
	readonly errors: number;
	readonly ringDepthBytes: number;
	readonly ringBytes: number;
}

/** What one shard knows for the console. */
export interface ConsolePart {
	readonly slot: number;
	/** For each channel of the question, how many clients of this shard get its messages; "" = messages to everybody. */
	readonly subscribers: readonly number[];
	/** For each of them, how many of its clients presence lists. */
	readonly present: readonly number[];
	/** Null = it reads no Kafka. */
	readonly kafka: KafkaGlance | null;
}

export interface ConsoleAnswer {
	readonly events: readonly ClusterEvent[];
	/** Of all shards that answered in time. */
	readonly parts: readonly ConsolePart[];
}

/** What the console wants that no shard knows alone: what has happened, and what each shard knows of itself. */
export const consoleQuestion: Question<{ readonly channels: readonly string[] }, ConsolePart, ConsoleAnswer> = {
	name: "console",
	asks: "shards",
	deadlineMs: 500,
	check: (data) => {
		const part = data as Partial<ConsolePart> | null;
		if (typeof part?.slot !== "number" || !Array.isArray(part.subscribers) || !Array.isArray(part.present))
			throw new Error("it is no part of the console");
		return part as ConsolePart;
	},
};
