import type { FetchTarget } from "../protocol/fetch-protocol.ts";
import type { PartitionWithOffset, SourcePartition } from "../source.ts";

/** One assigned partition while it is read. Belongs to the source; `live` turns false once, on revoke. */
export class PartitionState implements SourcePartition {
	readonly row: number;
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	/** The next record to offer. */
	position: number;
	/** Epoch of the leader that wrote the record before `position`; -1 = not known. */
	epoch: number;
	/** The next record to ask the broker for: ahead of `position` by what is being read ahead. */
	fetchOffset: number;
	/** As `epoch`, of the record before `fetchOffset`. */
	fetchEpoch: number;
	/** Epoch of the partition's present leader; -1 = not known. */
	leaderEpoch = -1;
	/** Of all that we have heard of. */
	#newestLeaderEpoch = -1;
	/** The node whose fetcher has records of it in hand; no other may offer any meanwhile. */
	offeredBy: string | null = null;
	/** Not asked for before this time (`performance.now()`), after trouble with this partition alone. */
	retryAtMs = 0;
	live = true;
	/** Counts rewinds. What was fetched under an older generation is of no use: it may not begin where `position` is. */
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

	/** True when the last record that was offered is the first seen of a new leader: somebody should write it down. */
	noteEpoch(): boolean {
		if (this.epoch <= this.#notedEpoch) return false;
		this.#notedEpoch = this.epoch;
		this.#notedFrom = this.position;
		return true;
	}

	/** As `epoch`, of an offset up to `position`; -1 also for one that lies far behind. */
	epochAt(offset: number): number {
		return offset >= this.#notedFrom ? this.#notedEpoch : -1;
	}

	#leader: string | null = null;
	#taking: Promise<unknown> | null = null;

	/** Node id of the leader, null while it is not known. */
	get leader(): string | null {
		return this.#leader;
	}

	/**
	 * What the node before has sent is void: its successor is asked from `position` on. A reader that is behind the others may still tell of a
	 * leader before the one that we know; that one is not asked again.
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

	/** Notes that the sink takes its time over a record, so that a revoke can wait for the end of it. */
	async whileTaking(taken: Promise<boolean>): Promise<boolean> {
		this.#taking = taken;
		try {
			return await taken;
		} finally {
			this.#taking = null;
		}
	}

	/** Resolves when no record is with the sink. */
	async settled(): Promise<void> {
		await this.#taking?.catch(() => undefined);
	}

	get key(): string {
		return partitionKey(this);
	}

	get name(): string {
		return `${this.topic} partition ${this.partition}`;
	}

	/** What to ask the broker for. */
	get target(): FetchTarget {
		const { topic, topicId, partition, leaderEpoch, fetchOffset: offset, fetchEpoch: lastEpoch } = this;
		return { topic, topicId, partition, leaderEpoch, offset, lastEpoch };
	}

	/** All before `position` was offered; who wrote the last of it. */
	advance(position: number, epoch: number): void {
		this.position = position;
		this.epoch = epoch;
	}

	/** No record of it is in anybody's hand; what was taken since a rewind need not be asked for again. */
	letGo(): void {
		this.offeredBy = null;
		if (this.position > this.fetchOffset) this.fetchFrom(this.position, this.epoch);
	}

	/** The next fetch asks from here on. */
	fetchFrom(offset: number, epoch: number): void {
		this.fetchOffset = offset;
		this.fetchEpoch = epoch;
	}

	/** Forgets what was read ahead, answers that are still under way included. */
	rewind(to = this.position, epoch = this.epoch): void {
		this.position = to;
		this.epoch = epoch;
		this.fetchFrom(to, epoch);
		this.generation++;
	}
}

/** Two topics that had the same name one after the other are two. Neither a name nor an id has a slash. */
export function partitionKey({ topic, topicId, partition }: Omit<SourcePartition, "row">): string {
	return `${topicId ?? topic}/${partition}`;
}
