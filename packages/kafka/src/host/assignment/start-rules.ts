import { PositionLayout } from "../../positions/position-descriptor.ts";
import type { PositionRows } from "../../positions/position-rows.ts";
import type { PositionTable } from "../../positions/position-table.ts";
import type { SourcePartition, StartPolicy, StartRule, TopicList } from "../../source.ts";

export interface StartRulesParts {
	/** For what is there when the cluster starts, and for what was only hidden from it. */
	readonly from: StartPolicy;
	/** Whether the subscription asks for the topic by its name. */
	readonly isNamed: (topic: string) => boolean;
	readonly slot: number;
	readonly table: PositionTable;
}

/** How far clocks of producers may be behind ours, and how old a record may be when it is produced. */
const ageMsMax = 60_000;
/** Of a topic as a whole: a row beside those of its partitions, in which the start is a number of partitions. */
const noteOf = (topic: string) => ({ topic, topicId: null, partition: PositionLayout.notePartition });

/**
 * Where a partition without a position begins. One that came while the cluster ran is new, and is read from its first record; one
 * that was there and only hidden begins where `--kafka-from` says, else everybody would get its history. What is known decides:
 *
 * - A topic that the brokers called denied was hidden. Written down in the table, so that all shards know, also those that start later.
 * - One that is asked for by name, and that the brokers called missing, is new.
 * - One that matches a pattern, brokers do not even mention while we may not see it. It is new if its first record is: not older than
 *   our last look without it, less a minute.
 * - A partition that is added to a topic which we read, and a topic that follows another of its name, are new.
 *
 * **One per shard, on its loop.** Bound: an entry per row of the table.
 */
export class StartRules {
	readonly #parts: StartRulesParts;
	readonly #rules = new Map<number, StartRule>();
	#notes = new Set<number>();
	#sinceMs = 0;

	constructor(parts: StartRulesParts) {
		this.#parts = parts;
	}

	/** Rows of topics as a whole that are in use. */
	get notes(): ReadonlySet<number> {
		return this.#notes;
	}

	/** Takes up what the list says of topics as a whole. With the table claimed, before `decide`. */
	list(rows: PositionRows, { topics, denied, missing, previousLookMs }: TopicList, nowMs: number): void {
		const { slot, table } = this.#parts;
		this.#sinceMs = Math.max((previousLookMs ?? table.lookedMs) - ageMsMax, 0);
		this.#notes = new Set();
		for (const topic of denied) {
			const note = rows.rowOf(noteOf(topic), slot, nowMs);
			if (note < 0) continue;
			rows.reopen(note);
			this.#notes.add(note);
		}
		// The first to see it settles how many of its partitions were hidden; none, if it was not there at all.
		const settle = (topic: string, partitions: number) => {
			const note = rows.existing(noteOf(topic));
			if (note < 0) return;
			rows.startAt(note, partitions, nowMs);
			this.#notes.add(note);
		};
		for (const { topic, partitions } of topics) settle(topic, partitions);
		for (const topic of missing) settle(topic, 0);
	}

	/** Settles the rule for a row that has no start. Once for each, with the table claimed: what was found first counts. */
	decide(rows: PositionRows, partition: SourcePartition): void {
		if (!this.#rules.has(partition.row)) this.#rules.set(partition.row, this.#decide(rows, partition));
	}

	/** The row is another partition's, or has its start. */
	forget(row: number): void {
		this.#rules.delete(row);
	}

	of(row: number): StartRule {
		return this.#rules.get(row) ?? { from: this.#parts.from, newIfSinceMs: null };
	}

	#decide(rows: PositionRows, partition: SourcePartition): StartRule {
		const { table, isNamed, from } = this.#parts;
		const wasThere: StartRule = { from, newIfSinceMs: null };
		const isNew: StartRule = { from: "earliest", newIfSinceMs: null };
		const note = rows.existing(noteOf(partition.topic));
		if (note >= 0 && partition.partition < (table.position(note) ?? 0)) return wasThere;
		if (partition.topicId !== null && rows.knowsOther(partition)) return isNew;
		if (!table.scanned) return wasThere;
		if (isNamed(partition.topic)) return isNew;
		// Whoever is first to see the topic decides on all of its partitions at once; those that are added later find it started.
		return rows.isStarted({ ...partition, partition: 0 }) ? isNew : { from, newIfSinceMs: this.#sinceMs };
	}
}
