import { createHash } from "node:crypto";
import { LogLayout } from "./memory/log-descriptor.ts";

/** A Kafka partition that feeds channels. One object per partition and process, since it caches the feed's place in each log. */
export interface Feed {
	/** Hash that differs between topics that had the same name. The two words are never both 0. */
	readonly feed0: number;
	readonly feed1: number;
	/** Hash of topic name and partition number. Never 0. */
	readonly name: number;
	/** Last known place in each log. */
	readonly entries: Int32Array;
}

/** A record of a partition, for one of its channels. */
export interface FeedRecord {
	readonly feed: Feed;
	/** Epoch of the leader that wrote it. */
	readonly leaderEpoch: number;
	/** Kafka's offset. */
	readonly offset: number;
	/** Index of the channel in the record's channels: 0 to 63, the same in all processes. */
	readonly index: number;
}

const channelsMax = 64;

/** A number that orders all records of a partition, and the channels of each record. */
export function sequenceOf({ offset, index }: Pick<FeedRecord, "offset" | "index">): number {
	return offset * channelsMax + index;
}

/** Kafka's offset. NaN for records that are not from Kafka. */
export function kafkaOffsetOf({ sequence }: { readonly sequence: number }): number {
	return Math.floor(sequence / channelsMax);
}

/**
 * Identifies a partition. The epoch of channels with Kafka's offsets depends only on this, so it is the same on all nodes and after a restart.
 * @param topicId null when the brokers do not report it: then the name is used.
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
