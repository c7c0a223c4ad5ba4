import { ChannelLog, feedOf } from "@shardcast/channel-log";
import { partitionKey } from "../client/partition-state.ts";
import type { SourcePartition } from "../source.ts";
import type { HistoryFailure, MissedRecords, RecordRange } from "./missed-records.ts";

/** The history that Kafka still has of channels fed by a single partition. */
export interface KafkaHistory {
	/** Most records that one client can get. */
	readonly recordsMax: number;
	/** The partition whose channels have this epoch, or null. Waits until the partitions are known, at most as long as a read may take. */
	partitionOf(epoch: string): Promise<SourcePartition | null>;
	/** Records of the channel from Kafka offset `from` up to, but not including, `to`. Never rejects. */
	get(partition: SourcePartition, channel: string, from: number, to: number): Promise<RecordRange | HistoryFailure>;
}

/** The parts of the ingest that ShardKafkaHistory uses. */
interface KnownPartitions {
	readonly missed: Pick<MissedRecords, "get">;
	readonly assignment: { readonly known: readonly SourcePartition[]; readonly isListed: boolean };
}

/** How often to check whether the partitions are known. */
const lookMs = 20;

/** The KafkaHistory of a shard. Used on its event loop. */
export class ShardKafkaHistory implements KafkaHistory {
	readonly recordsMax: number;
	readonly #ingest: () => KnownPartitions | null;
	readonly #timeoutMs: number;
	/** Epoch of the channels of each known partition, by partition key. */
	readonly #epochs = new Map<string, string>();

	/** @param ingest returns null until the ingest has started. */
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
			// A shard or worker that has just started will soon get the list of partitions.
			if (found !== null || assignment?.isListed === true || performance.now() > until) return found;
			await new Promise((resolve) => setTimeout(resolve, lookMs));
		}
	}

	async get(partition: SourcePartition, channel: string, from: number, to: number): Promise<RecordRange | HistoryFailure> {
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
