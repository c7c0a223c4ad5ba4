import type { PartitionWithOffset, SourcePartition } from "../source.ts";

/** One assigned partition while it is read. Belongs to the source; `live` turns false once, on revoke. */
export class PartitionState implements SourcePartition {
	readonly row: number;
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	/** The next record to offer. */
	position: number;
	/** The next record to ask the broker for: ahead of `position` by what is being read ahead. */
	fetchOffset: number;
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
		this.fetchOffset = from.offset;
	}

	#leader: string | null = null;
	#taking: Promise<unknown> | null = null;

	/** Node id of the leader, null while it is not known. */
	get leader(): string | null {
		return this.#leader;
	}

	/** What the node before has sent is void: its successor is asked from `position` on. */
	ledBy(leader: string | null): void {
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

	/** No record of it is in anybody's hand; what was taken since a rewind need not be asked for again. */
	letGo(): void {
		this.offeredBy = null;
		this.fetchOffset = Math.max(this.fetchOffset, this.position);
	}

	/** Forgets what was read ahead, answers that are still under way included. */
	rewind(to = this.position): void {
		this.position = to;
		this.fetchOffset = to;
		this.generation++;
	}
}

/** Two topics that had the same name one after the other are two. Neither a name nor an id has a slash. */
export function partitionKey({ topic, topicId, partition }: Omit<SourcePartition, "row">): string {
	return `${topicId ?? topic}/${partition}`;
}
