import { ChannelLog, feedOf } from "@shardcast/channel-log";
import { partitionKey } from "../client/partition-state.ts";
import type { SourcePartition } from "../source.ts";
import type { MissedFailure, MissedRecords, RecordRange } from "./missed-records.ts";

/** What Kafka still has of channels that one partition feeds. */
export interface KafkaHistory {
	/** That one client can be given. */
	readonly recordsMax: number;
	/** The partition whose channels have this epoch; null = there is none. While it is not known which there are, it waits, for as long as a read may take. */
	partitionOf(epoch: string): Promise<SourcePartition | null>;
	/** Records of the channel, by Kafka's offsets: from `from`, up to `to`, which is not part of it. Never rejects. */
	get(partition: SourcePartition, channel: string, from: number, to: number): Promise<RecordRange | MissedFailure>;
}

/** What it needs of the ingest. */
export interface KnownPartitions {
	readonly missed: Pick<MissedRecords, "get">;
	readonly assignment: { readonly known: readonly SourcePartition[]; readonly isListed: boolean };
}

/** How soon to look again whether the partitions are known. */
const lookMs = 20;

/** Of a shard, on its loop. */
export class ShardKafkaHistory implements KafkaHistory {
	readonly recordsMax: number;
	readonly #ingest: () => KnownPartitions | null;
	readonly #timeoutMs: number;
	/** Of each partition that is known, which epoch its channels have. */
	readonly #epochs = new Map<string, string>();

	/** @param ingest null while it has not started. */
	constructor(
		ingest: () => KnownPartitions | null,
		{ recordsMax, timeoutMs }: { readonly recordsMax: number; readonly timeoutMs: number },
	) {
		this.#ingest = ingest;
		this.recordsMax = recordsMax;
		this.#timeoutMs = timeoutMs;
	}

	async partitionOf(epoch: string): Promise<SourcePartition | null> {
		const until = performance.now() + this.#timeoutMs;
		for (;;) {
			const assignment = this.#ingest()?.assignment;
			const found = assignment === undefined ? null : this.#find(assignment.known, epoch);
			// A shard that has just started, or whose worker has, learns soon which there are.
			if (found !== null || assignment?.isListed === true || performance.now() > until) return found;
			await new Promise((resolve) => setTimeout(resolve, lookMs));
		}
	}

	async get(partition: SourcePartition, channel: string, from: number, to: number): Promise<RecordRange | MissedFailure> {
		return this.#ingest()?.missed.get(partition, channel, from, to) ?? "unavailable";
	}

	#find(known: readonly SourcePartition[], epoch: string): SourcePartition | null {
		if (this.#epochs.size > 2 * known.length) this.#epochs.clear();
		return known.find((partition) => this.#epochOf(partition) === epoch) ?? null;
	}

	#epochOf(partition: SourcePartition): string {
		const key = partitionKey(partition);
		let epoch = this.#epochs.get(key);
		if (epoch === undefined) {
			epoch = ChannelLog.epochOf(feedOf(partition.topic, partition.topicId, partition.partition));
			this.#epochs.set(key, epoch);
		}
		return epoch;
	}
}
