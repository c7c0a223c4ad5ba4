/** A shorter pause costs more than it saves, and timers have a resolution of a millisecond. */
const pauseMsMin = 1;
/** A pause must not let the rings become fuller than this, so that publishers need not wait for its end. */
const fillMax = 0.25;
/** Limit on the growth of pauses after one was cut short. */
const growth = 1.25;

interface FlushPolicyOptions {
	/** Longest pause (`--flush-max`); 0 = never pause. */
	readonly pauseMsMax: number;
	/** Pause as a multiple of the duration of the last flush. */
	readonly pauseRatio: number;
}

/**
 * Decides when the next flush may begin. The cost of a flush is a system call per client, almost independent of the number of messages. So fewer
 * flushes are better, as long as nobody notices the delay:
 *
 *   idle → the last flush was long ago, so the next one begins at once: no added delay
 *   busy → it waits in proportion to the duration of the last flush, so flushing takes a bounded share of the loop's time, and slower
 *          flushes carry more messages each; but never so long that a ring fills up
 *
 * Pure: computes a pause from times.
 */
export class FlushPolicy {
	readonly #options: FlushPolicyOptions;
	#pauseMs = 0;
	/** Limit by the rings, learned from their fill level after each pause. */
	#limitMs = Number.POSITIVE_INFINITY;
	#notBeforeMs = Number.NEGATIVE_INFINITY;

	constructor(options: FlushPolicyOptions) {
		this.#options = options;
	}

	/** The pause after the last flush. */
	get pauseMs(): number {
		return this.#pauseMs;
	}

	/**
	 * Call after a flush, including the writes of uWebSockets.js at the end of the turn.
	 * @param fill fill level of the rings when it began, from 0 to 1. If a pause let them fill up, the next ones are shortened in proportion, since a
	 * full ring slows down publishers, and grow again step by step.
	 */
	flushed(beganMs: number, endedMs: number, fill = 0): void {
		const { pauseMsMax, pauseRatio } = this.#options;
		this.#limitMs = fill > fillMax ? (this.#pauseMs * fillMax) / fill : Math.max(this.#limitMs * growth, pauseMsMin);
		const pauseMs = Math.min(pauseMsMax, (endedMs - beganMs) * pauseRatio, this.#limitMs);
		this.#pauseMs = pauseMs < pauseMsMin ? 0 : pauseMs;
		this.#notBeforeMs = endedMs + this.#pauseMs;
	}

	/** How long to wait from now; 0 = begin at once. */
	waitMs(nowMs: number): number {
		const waitMs = this.#notBeforeMs - nowMs;
		return waitMs < pauseMsMin ? 0 : waitMs;
	}
}
