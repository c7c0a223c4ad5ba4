/** Below this a pause costs more than it saves: a timer fires no earlier than a millisecond later anyway. */
const pauseMsMin = 1;

export interface FlushPolicyOptions {
	/** Longest pause (`--flush-max`); 0 = never pause. */
	readonly pauseMsMax: number;
	/** Pause as a multiple of what the last flush took. */
	readonly pauseRatio: number;
}

/**
 * When the next flush may begin. What a flush costs is a system call for each client, hardly the messages in it, so the fewer
 * flushes the better, as long as nobody notices the wait:
 *
 *   idle → the last flush is long past, the next begins at once: no delay is added
 *   busy → it waits in proportion to what the last one took, so flushing takes a bounded share of the loop's time, and the slower
 *          the flushes get the more messages each of them carries
 *
 * Pure: times go in, a pause comes out.
 */
export class FlushPolicy {
	readonly #options: FlushPolicyOptions;
	#pauseMs = 0;
	#notBeforeMs = Number.NEGATIVE_INFINITY;

	constructor(options: FlushPolicyOptions) {
		this.#options = options;
	}

	/** The pause after the last flush. */
	get pauseMs(): number {
		return this.#pauseMs;
	}

	/**
	 * A flush has begun and ended; what uWebSockets.js wrote at the end of the turn is part of it.
	 * @param crowded the rings had filled up so far before it that they might be full after another pause: then there is none,
	 * since a full ring slows down whoever publishes.
	 */
	flushed(beganMs: number, endedMs: number, crowded = false): void {
		const pauseMs = Math.min(this.#options.pauseMsMax, (endedMs - beganMs) * this.#options.pauseRatio);
		this.#pauseMs = crowded || pauseMs < pauseMsMin ? 0 : pauseMs;
		this.#notBeforeMs = endedMs + this.#pauseMs;
	}

	/** How long to wait from now on; 0 = begin at once. */
	waitMs(nowMs: number): number {
		const waitMs = this.#notBeforeMs - nowMs;
		return waitMs < pauseMsMin ? 0 : waitMs;
	}
}
