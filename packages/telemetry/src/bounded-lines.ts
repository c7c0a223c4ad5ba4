/**
 * Limits how often a log line is written; the next line says how many were left out. For events that can happen once per message: a hundred
 * thousand lines help nobody, and writing them would cost more than the messages.
 */
export class BoundedLines {
	readonly #everyMs: number;
	readonly #nowMs: () => number;
	#notBeforeMs = Number.NEGATIVE_INFINITY;
	#leftOut = 0;

	constructor(everyMs: number, nowMs: () => number = () => performance.now()) {
		this.#everyMs = everyMs;
		this.#nowMs = nowMs;
	}

	/** @param write is called with how many were left out before, or not at all. */
	offer(write: (leftOut: number) => void): void {
		const nowMs = this.#nowMs();
		if (nowMs < this.#notBeforeMs) {
			this.#leftOut++;
			return;
		}
		const leftOut = this.#leftOut;
		this.#leftOut = 0;
		this.#notBeforeMs = nowMs + this.#everyMs;
		write(leftOut);
	}
}
