import type { IngestMemory } from "../ingest-memory.ts";

const lookMs = 50;

/**
 * Watches the worker's route calls from outside, since a function that does not return blocks its own thread.
 * **On the shard's loop.**
 */
export class RouteWatch {
	readonly #memory: Pick<IngestMemory, "routeCall">;
	readonly #budgetMs: number;
	readonly #onHung: () => void;
	#timer: NodeJS.Timeout | null = null;
	#call: number | null = null;
	#sinceMs = 0;

	constructor(memory: Pick<IngestMemory, "routeCall">, budgetMs: number, onHung: () => void) {
		this.#memory = memory;
		this.#budgetMs = budgetMs;
		this.#onHung = onHung;
	}

	start(): void {
		this.#call = null;
		this.#timer ??= setInterval(() => this.look(performance.now()), lookMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	look(nowMs: number): void {
		const call = this.#memory.routeCall();
		if (call === null || call !== this.#call) {
			this.#call = call;
			this.#sinceMs = nowMs;
		} else if (nowMs - this.#sinceMs > this.#budgetMs) {
			this.#call = null;
			this.#onHung();
		}
	}
}
