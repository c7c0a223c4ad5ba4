import type { IngestMemory } from "../ingest-memory.ts";
import type { SourcePartition } from "../source.ts";
import type { IngestLog } from "./ingest-log.ts";
import type { IngestStatus } from "./ingest-status.ts";
import { Stalls, stallText } from "./stalls.ts";

interface StallReportParts {
	readonly memory: IngestMemory;
	readonly status: IngestStatus;
	readonly group: string;
	readonly log: Pick<IngestLog, "warn">;
}

/** Tells health about stalled partitions, and the log when the first one stalls. **One per ingest, on its loop.** */
export class StallReport {
	readonly #parts: StallReportParts;
	readonly #stalls: Stalls;
	#stalled = false;

	constructor(parts: StallReportParts) {
		this.#parts = parts;
		this.#stalls = new Stalls(parts.memory);
	}

	/** @param assigned the partitions read now. */
	report(assigned: readonly SourcePartition[], nowMs: number): void {
		const { memory, status, group, log } = this.#parts;
		const stalls = this.#stalls.look(assigned, nowMs);
		if (stalls.length > 0) {
			const text = stallText(stalls, group, memory.paused);
			if (!this.#stalled) log.warn({ ...stalls[0], stillMs: Math.round(stalls[0]!.stillMs), group }, `kafka: ${text}`);
			status.begin("stalled", text);
		} else status.end("stalled");
		this.#stalled = stalls.length > 0;
	}
}
