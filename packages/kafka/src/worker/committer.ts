import { monotonicMs } from "@shardcast/wire";
import type { IngestMemory } from "../ingest-memory.ts";
import type { SourcePartition } from "../source.ts";

/** A partition whose records before `offset` were delivered. */
type Delivered = SourcePartition & { readonly offset: number };

interface CommitterParts {
	readonly memory: IngestMemory;
	readonly intervalMs: number;
	readonly commit: (offsets: readonly Delivered[]) => Promise<void>;
	/** Called with an error that lasts, and the number of records delivered but not committed. */
	readonly onError: (error: unknown, uncommitted: number) => void;
}

/** Errors are reported only after this time: a broker that has just started answers "coordinator is loading" for a while. */
const patienceMs = 10_000;

/**
 * Commits periodically what the event loop has delivered, never more. It does not retry a failed commit, since the next one includes
 * its offsets.
 */
export class Committer {
	readonly #parts: CommitterParts;
	readonly #partitions = new Map<number, SourcePartition>();
	#timer: NodeJS.Timeout | null = null;
	#committing: Promise<void> | null = null;
	#failingSinceMs: number | null = null;

	constructor(parts: CommitterParts) {
		this.#parts = parts;
	}

	start(): void {
		this.#timer ??= setInterval(() => void this.commit(), this.#parts.intervalMs);
	}

	assign(partitions: readonly SourcePartition[]): void {
		for (const partition of partitions) {
			this.#partitions.set(partition.row, partition);
			// Not committed by this shard yet. The start of an idle partition is committed once, too.
			this.#parts.memory.setCell(partition.row, "committed", Number.NaN);
		}
	}

	revoke(rows: readonly number[]): void {
		for (const row of rows) this.#partitions.delete(row);
	}

	/** Resolves when everything delivered before the call is committed, or the commit has failed. */
	async commit(): Promise<void> {
		await this.#committing;
		this.#committing ??= this.#commitDelivered().finally(() => {
			this.#committing = null;
		});
		await this.#committing;
	}

	/** Stops the timer and commits a last time. */
	async stop(): Promise<void> {
		if (this.#timer !== null) clearInterval(this.#timer);
		await this.commit();
	}

	async #commitDelivered(): Promise<void> {
		const { memory } = this.#parts;
		const offsets: Delivered[] = [];
		for (const partition of this.#partitions.values()) {
			const offset = memory.cell(partition.row, "delivered");
			if (offset !== memory.cell(partition.row, "committed")) offsets.push({ ...partition, offset });
		}
		if (offsets.length === 0) {
			memory.worker.set("committedMs", monotonicMs());
			return;
		}
		try {
			await this.#parts.commit(offsets);
			for (const { row, offset } of offsets) memory.setCell(row, "committed", offset);
			memory.worker.add("commits");
			this.#failingSinceMs = null;
			memory.worker.set("committedMs", monotonicMs());
		} catch (error) {
			const nowMs = performance.now();
			this.#failingSinceMs ??= nowMs;
			if (nowMs - this.#failingSinceMs >= patienceMs) this.#parts.onError(error, this.#uncommitted(offsets));
		}
	}

	/** Partitions that were never committed here do not count. */
	#uncommitted(offsets: readonly Delivered[]): number {
		const behind = ({ row, offset }: Delivered) => offset - this.#parts.memory.cell(row, "committed");
		return offsets.reduce((sum, each) => sum + (behind(each) || 0), 0);
	}
}
