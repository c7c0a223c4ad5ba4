import type { CpuTimes } from "./cpu-load.ts";

/** Reading resumes only this far below the limit, so that it does not oscillate. */
const hysteresisPercent = 10;
const lookMs = 1000;

interface CpuGuardParts {
	/** Reading pauses above this load. */
	readonly limitPercent: number;
	readonly times: () => CpuTimes;
	readonly onChange: (paused: boolean, loadPercent: number) => void;
}

/**
 * Pauses reading from Kafka while the CPUs are overloaded: records can wait in Kafka, but clients' messages and pings cannot wait.
 * Checks once a second. **On the shard's loop.**
 */
export class CpuGuard {
	readonly #parts: CpuGuardParts;
	#before: CpuTimes;
	#paused = false;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: CpuGuardParts) {
		this.#parts = parts;
		this.#before = parts.times();
	}

	start(): void {
		this.#timer ??= setInterval(() => this.look(), lookMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	look(): void {
		const now = this.#parts.times();
		const totalMs = now.totalMs - this.#before.totalMs;
		if (totalMs <= 0) return;
		const loadPercent = ((now.busyMs - this.#before.busyMs) / totalMs) * 100;
		this.#before = now;
		const { limitPercent, onChange } = this.#parts;
		const paused = loadPercent > (this.#paused ? limitPercent - hysteresisPercent : limitPercent);
		if (paused === this.#paused) return;
		this.#paused = paused;
		onChange(paused, loadPercent);
	}
}
