import type { PartitionWithOffset, SourcePartition } from "../source.ts";

/** One assigned partition while it is read. Belongs to the source; `live` turns false once, on revoke. */
export class PartitionState implements SourcePartition {
	readonly row: number;
	readonly topic: string;
	readonly partition: number;
	/** The next record to offer. */
	position: number;
	/** The next record to ask the broker for: ahead of `position` by what is being read ahead. */
	fetchOffset: number;
	/** Node id of the leader, null while it is not known. */
	leader: string | null = null;
	/** Not asked for before this time (`performance.now()`), after trouble with this partition alone. */
	retryAtMs = 0;
	live = true;
	/** Counts rewinds. What was fetched under an older generation is of no use: it may not begin where `position` is. */
	generation = 0;

	constructor(from: PartitionWithOffset) {
		this.row = from.row;
		this.topic = from.topic;
		this.partition = from.partition;
		this.position = from.offset;
		this.fetchOffset = from.offset;
	}

	#taking: Promise<unknown> | null = null;

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
		return partitionKey(this.topic, this.partition);
	}

	/** Forgets what was read ahead, answers that are still under way included. */
	rewind(to = this.position): void {
		this.position = to;
		this.fetchOffset = to;
		this.generation++;
	}
}

/** A slash is not allowed in topic names. */
export function partitionKey(topic: string, partition: number): string {
	return `${topic}/${partition}`;
}
