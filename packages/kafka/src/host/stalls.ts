import type { IngestMemory } from "../ingest-memory.ts";
import type { SourcePartition } from "../source.ts";

/** A partition without progress. */
interface Stall {
	readonly topic: string;
	readonly partition: number;
	/** Records in Kafka that are not delivered. */
	readonly lagRecords: number;
	readonly stillMs: number;
}

/** Longer than a change of leader or owner takes, and than a route call may take. */
const stillMsMin = 10_000;

/**
 * Finds stalled partitions: they have records in Kafka, but none has been delivered for ten seconds. This covers any cause, such as a batch
 * that cannot be read, a leader that does not answer, or a bus that stays full. **One per shard, on its loop; checked about once a
 * second.** Bound: an entry per assigned partition.
 */
export class Stalls {
	readonly #memory: Pick<IngestMemory, "cell">;
	#seen = new Map<number, { readonly delivered: number; readonly sinceMs: number }>();

	constructor(memory: Pick<IngestMemory, "cell">) {
		this.#memory = memory;
	}

	/** @param assigned the partitions read now. @returns the stalls, largest lag first. */
	look(assigned: readonly SourcePartition[], nowMs: number): readonly Stall[] {
		const seen = new Map<number, { readonly delivered: number; readonly sinceMs: number }>();
		const stalls: Stall[] = [];
		for (const { row, topic, partition } of assigned) {
			const delivered = this.#memory.cell(row, "delivered");
			const lagRecords = this.#memory.cell(row, "logEnd") - delivered;
			if (lagRecords <= 0) continue;
			const before = this.#seen.get(row);
			const state = before?.delivered === delivered ? before : { delivered, sinceMs: nowMs };
			seen.set(row, state);
			const stillMs = nowMs - state.sinceMs;
			if (stillMs >= stillMsMin) stalls.push({ topic, partition, lagRecords, stillMs });
		}
		this.#seen = seen;
		return stalls.sort((a, b) => b.lagRecords - a.lagRecords);
	}
}

/** The text for health: names the worst stall and counts the others. */
export function stallText(stalls: readonly Stall[], group: string, paused: boolean): string {
	const [{ topic, partition, lagRecords, stillMs }] = stalls as [Stall];
	// Rounded to tens, so that the text does not change every second.
	const seconds = Math.floor(stillMs / 10_000) * 10;
	const others = stalls.length === 1 ? "" : `, ${stalls.length - 1} more like it`;
	const why = paused ? "reading pauses while a guard acts (guards.ingest_cpu, guards.ingest_memory)" : "see the log for its last error";
	return `topic ${topic} partition ${partition} is ${lagRecords} records behind in group ${group}, none delivered for ${seconds} s${others}; ${why}`;
}
