import { createHash } from "node:crypto";
import { LogLayout } from "./memory/log-descriptor.ts";

/** A partition of Kafka that feeds channels, as logs know it. One object per partition and process: it remembers where logs keep it. */
export interface Feed {
	/** Tells topics apart that had the same name one after the other. Never both 0. */
	readonly feed0: number;
	readonly feed1: number;
	/** Tells partitions apart by name and number. Never 0. */
	readonly name: number;
	/** In each log, where it was last. */
	readonly entries: Int32Array;
}

/** A record of a partition, for one of the channels that it goes to. */
export interface FeedRecord {
	readonly feed: Feed;
	/** Of the leader that wrote it. */
	readonly leaderEpoch: number;
	/** Kafka's. */
	readonly offset: number;
	/** Of the channel among those of the record: 0 to 63, the same in all processes. */
	readonly index: number;
}

const channelsMax = 64;

/** One order of all that a partition brings: its records, and the channels of each. */
export function sequenceOf({ offset, index }: Pick<FeedRecord, "offset" | "index">): number {
	return offset * channelsMax + index;
}

/** Kafka's. NaN for what did not come from there. */
export function kafkaOffsetOf({ sequence }: { readonly sequence: number }): number {
	return Math.floor(sequence / channelsMax);
}

/**
 * The epoch of a channel that has Kafka's offsets depends on nothing else, so it is the same on all nodes, and after a restart.
 * @param topicId null = brokers do not tell it: then its name counts.
 */
export function feedOf(topic: string, topicId: string | null, partition: number): Feed {
	const id = createHash("sha256")
		.update(`${topicId ?? `name ${topic}`}/${partition}`)
		.digest();
	const name = createHash("sha256").update(`${topic}/${partition}`).digest();
	return {
		feed0: id.readInt32LE(0) || 1,
		feed1: id.readInt32LE(4),
		name: name.readInt32LE(0) || 1,
		entries: new Int32Array(LogLayout.logs),
	};
}
