/** Below this a pause costs more than it saves: a timer fires no earlier than a millisecond later anyway. */
const pauseMsMin = 1;
/** A pause is to leave the rings no fuller than this: whatever fills them must not have to wait until it is over. */
const fillMax = 0.25;
/** How much longer than the last pause the next may be, after one that had to be cut. */
const growth = 1.25;

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
 *          the flushes get the more messages each of them carries; but never so long that a ring fills up meanwhile
 *
 * Pure: times go in, a pause comes out.
 */
export class FlushPolicy {
	readonly #options: FlushPolicyOptions;
	#pauseMs = 0;
	/** What the rings allow, learned from how full they were after a pause. */
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
	 * A flush has begun and ended; what uWebSockets.js wrote at the end of the turn is part of it.
	 * @param fill how full the rings were when it began, as a share of one: a pause that let them fill up is shortened in
	 * proportion, since a full ring slows down whoever publishes, and grows again by steps.
	 */
	flushed(beganMs: number, endedMs: number, fill = 0): void {
		const { pauseMsMax, pauseRatio } = this.#options;
		this.#limitMs = fill > fillMax ? (this.#pauseMs * fillMax) / fill : Math.max(this.#limitMs * growth, pauseMsMin);
		const pauseMs = Math.min(pauseMsMax, (endedMs - beganMs) * pauseRatio, this.#limitMs);
		this.#pauseMs = pauseMs < pauseMsMin ? 0 : pauseMs;
		this.#notBeforeMs = endedMs + this.#pauseMs;
	}

	/** How long to wait from now on; 0 = begin at once. */
	waitMs(nowMs: number): number {
		const waitMs = this.#notBeforeMs - nowMs;
		return waitMs < pauseMsMin ? 0 : waitMs;
	}
}
