import { PositionLayout } from "../../positions/position-descriptor.ts";
import type { PositionRows } from "../../positions/position-rows.ts";
import type { PositionTable } from "../../positions/position-table.ts";
import type { SourcePartition, StartPolicy, StartRule, TopicList } from "../../source.ts";

interface StartRulesParts {
	/** For partitions that exist when the cluster starts, or that were hidden from it. */
	readonly from: StartPolicy;
	/** Whether the subscription requests the topic by name. */
	readonly isNamed: (topic: string) => boolean;
	readonly slot: number;
	readonly table: PositionTable;
}

/** Tolerance for producers' clocks that are behind, and for records that are old when they are produced. */
const ageMsMax = 60_000;
/** Key of the row for a topic as a whole, next to those of its partitions. Its start is a number of partitions. */
const noteOf = (topic: string) => ({ topic, topicId: null, partition: PositionLayout.notePartition });

/**
 * Decides where a partition without a position starts. A partition created while the cluster runs is new, and is read from its first
 * record. One that existed but was hidden starts where `--kafka-from` says; otherwise everybody would get its history. The rules:
 *
 * - A topic that the brokers reported as denied was hidden. The table stores this for all shards, including those that start later.
 * - A topic that is requested by name, and that the brokers reported as missing, is new.
 * - Brokers do not list a topic that matches a pattern while the user may not see it. It is new if its first record is not older than the
 *   last listing without it, less a minute.
 * - A partition added to a topic that is read, and a topic that replaces one with the same name, are new.
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

	/** Rows in use for topics as a whole. */
	get notes(): ReadonlySet<number> {
		return this.#notes;
	}

	/** Updates the rows for topics as a whole. Call with the table claimed, before `decide`. */
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
		// The first shard to see the topic sets how many of its partitions were hidden; none, if it did not exist.
		const settle = (topic: string, partitions: number) => {
			const note = rows.existing(noteOf(topic));
			if (note < 0) return;
			rows.startAt(note, partitions, nowMs);
			this.#notes.add(note);
		};
		for (const { topic, partitions } of topics) settle(topic, partitions);
		for (const topic of missing) settle(topic, 0);
	}

	/** Sets the rule for a row without a start. Only the first call per row has an effect. Call with the table claimed. */
	decide(rows: PositionRows, partition: SourcePartition): void {
		if (!this.#rules.has(partition.row)) this.#rules.set(partition.row, this.#decide(rows, partition));
	}

	/** Call when the row has its start, or is reused for another partition. */
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
		// The first shard to see the topic decides for all its partitions. For those added later, partition 0 is already started.
		return rows.isStarted({ ...partition, partition: 0 }) ? isNew : { from, newIfSinceMs: this.#sinceMs };
	}
}
