import type { FetchTarget } from "../protocol/fetch-protocol.ts";
import type { PartitionWithOffset, SourcePartition } from "../source.ts";

/** State of an assigned partition. Owned by the source; `live` becomes false once, on revoke. */
export class PartitionState implements SourcePartition {
	readonly row: number;
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	/** The next record to offer. */
	position: number;
	/** Epoch of the leader that wrote the record before `position`; -1 = unknown. */
	epoch: number;
	/** The next offset to fetch: ahead of `position` by the records read ahead. */
	fetchOffset: number;
	/** Like `epoch`, for the record before `fetchOffset`. */
	fetchEpoch: number;
	/** Epoch of the current leader; -1 = unknown. */
	leaderEpoch = -1;
	/** Highest leader epoch seen. */
	#newestLeaderEpoch = -1;
	/** The loop that is offering records of this partition: the id of its fetcher's broker, or `relayed`. No other may do so meanwhile. */
	offeredBy: string | null = null;
	/** The records come from another node, and are not fetched from Kafka: see PartitionRelay. */
	followed = false;
	/** Epoch of the last leader whose log was found to have everything that was read; -1 = none. Within an epoch a log only grows. */
	checkedEpoch = -1;
	/** Not fetched before this time (`performance.now()`), after an error of this partition alone. */
	retryAtMs = 0;
	live = true;
	/** Counts rewinds. An answer fetched in an older generation is discarded: it may not start at `position`. */
	generation = 0;

	constructor(from: PartitionWithOffset) {
		this.row = from.row;
		this.topic = from.topic;
		this.topicId = from.topicId;
		this.partition = from.partition;
		this.position = from.offset;
		this.epoch = from.epoch;
		this.fetchOffset = from.offset;
		this.fetchEpoch = from.epoch;
		this.#notedEpoch = from.epoch;
		this.#notedFrom = from.epoch < 0 ? Number.POSITIVE_INFINITY : from.offset;
	}

	#notedEpoch: number;
	#notedFrom: number;

	/** True when the last offered record is the first of a new leader: the caller must then record the epoch. */
	noteEpoch(): boolean {
		if (this.epoch <= this.#notedEpoch) return false;
		this.#notedEpoch = this.epoch;
		this.#notedFrom = this.position;
		return true;
	}

	/** Like `epoch`, for an offset up to `position`; -1 also for an offset far behind. */
	epochAt(offset: number): number {
		return offset >= this.#notedFrom ? this.#notedEpoch : -1;
	}

	#leader: string | null = null;
	#taking: Promise<unknown> | null = null;

	/** Node id of the leader; null = unknown. */
	get leader(): string | null {
		return this.#leader;
	}

	/**
	 * Sets the leader. If it has changed, answers of the old leader are discarded and the new one is asked from `position` on. Leaders older
	 * than the newest known one, as reported by a broker that lags behind, are ignored.
	 */
	ledBy(leader: string | null, leaderEpoch = -1): void {
		if (leader !== null) {
			if (leaderEpoch >= 0 && leaderEpoch < this.#newestLeaderEpoch) return;
			this.#newestLeaderEpoch = Math.max(this.#newestLeaderEpoch, leaderEpoch);
			this.leaderEpoch = leaderEpoch;
		}
		if (leader === this.#leader) return;
		this.#leader = leader;
		this.rewind();
	}

	/** Tracks a record that the sink is still taking, so that a revoke can wait for it. */
	async whileTaking(taken: Promise<boolean>): Promise<boolean> {
		this.#taking = taken;
		try {
			return await taken;
		} finally {
			this.#taking = null;
		}
	}

	/** Resolves when the sink is not taking a record. */
	async settled(): Promise<void> {
		await this.#taking?.catch(() => undefined);
	}

	get key(): string {
		return partitionKey(this);
	}

	get name(): string {
		return `${this.topic} partition ${this.partition}`;
	}

	/** The partition's part of the next fetch request. */
	get target(): FetchTarget {
		const { topic, topicId, partition, leaderEpoch, fetchOffset: offset, fetchEpoch: lastEpoch } = this;
		return { topic, topicId, partition, leaderEpoch, offset, lastEpoch };
	}

	/** All records before `position` were offered; the leader of `epoch` wrote the last one. */
	advance(position: number, epoch: number): void {
		this.position = position;
		this.epoch = epoch;
	}

	/** Ends the offering of records. Records taken since a rewind are not fetched again. */
	letGo(): void {
		this.offeredBy = null;
		if (this.position > this.fetchOffset) this.fetchFrom(this.position, this.epoch);
	}

	/** Sets where the next fetch starts. */
	fetchFrom(offset: number, epoch: number): void {
		this.fetchOffset = offset;
		this.fetchEpoch = epoch;
	}

	/** Discards what was read ahead, including answers in progress. */
	rewind(to = this.position, epoch = this.epoch): void {
		this.position = to;
		this.epoch = epoch;
		this.fetchFrom(to, epoch);
		this.generation++;
	}
}

/** `offeredBy` while records from another node are offered. */
export const relayed = "another node";

/** Differs for topics that had the same name. Neither names nor ids contain a slash. */
export function partitionKey({ topic, topicId, partition }: Omit<SourcePartition, "row">): string {
	return `${topicId ?? topic}/${partition}`;
}
