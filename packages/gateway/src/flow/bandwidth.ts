import { TokenBucket } from "@shardcast/limits";

/** A timer for longer than this fires at once. */
const timerMsMax = 2 ** 31 - 1;
/** Part of the rate that is kept for urgent frames. */
const urgentShare = 1 / 2;

/**
 * A limit in bytes per second for one direction of one connection. 0 = no limit. One thread; makes no object per frame.
 *
 * It allows a burst of one second's worth. A frame passes while the bucket is not empty, also one that is longer than what it holds; the
 * bytes on credit are then waited for before the next one. So any frame passes some time, and the average is exact.
 *
 * Urgent frames do not wait for what others owe: half of the rate is kept for them, and what they take of that counts for the others too. So they pass
 * at once as long as they stay below half of the rate, and the average stays the same.
 *
 * Of the libraries for this, `limiter` refuses to take more than a burst, which a long frame would need, and `rate-limiter-flexible` and
 * `bottleneck` make promises for each take. The bucket is the one of our other limits.
 */
export class Bandwidth {
	#bytesPerSecond: number;
	readonly #bucket: TokenBucket;
	/** What is kept for urgent frames. */
	readonly #urgent: TokenBucket;

	constructor(bytesPerSecond: number, nowMs: number) {
		this.#bytesPerSecond = bytesPerSecond;
		this.#bucket = new TokenBucket(bytesPerSecond, nowMs);
		this.#urgent = new TokenBucket(bytesPerSecond * urgentShare, nowMs);
	}

	get bytesPerSecond(): number {
		return this.#bytesPerSecond;
	}

	/** Applies from the next take. */
	set bytesPerSecond(value: number) {
		this.#bytesPerSecond = value;
	}

	/** @param isUrgent it may be taken from what is kept for urgent frames. @returns false if the frame must wait for `waitMs`. */
	take(bytes: number, nowMs: number, isUrgent = false): boolean {
		if (isUrgent && this.takeUrgent(bytes, nowMs)) return true;
		return this.#bytesPerSecond === 0 || this.#bucket.take(this.#bytesPerSecond, nowMs, bytes);
	}

	/** Takes it from what is kept for urgent frames, and from nothing else. @returns false if that is used up. */
	takeUrgent(bytes: number, nowMs: number): boolean {
		const rate = this.#bytesPerSecond;
		if (rate === 0) return true;
		if (!this.#urgent.take(rate * urgentShare, nowMs, bytes)) return false;
		this.#bucket.owe(rate, nowMs, bytes);
		return true;
	}

	/** Milliseconds until `take` says yes, at most what a timer takes: ask again then. 0 if it would now. */
	waitMs(nowMs: number, isUrgent = false): number {
		const rate = this.#bytesPerSecond;
		if (rate === 0) return 0;
		const urgentMs = isUrgent ? this.#urgent.waitMs(rate * urgentShare, nowMs) : timerMsMax;
		return Math.min(timerMsMax, this.#bucket.waitMs(rate, nowMs), urgentMs);
	}
}
