import { TokenBucket } from "@shardcast/limits";

/** A timer for longer than this fires at once. */
const timerMsMax = 2 ** 31 - 1;

/**
 * A limit in bytes per second for one direction of one connection. 0 = no limit. One thread; makes no object per frame.
 *
 * It allows a burst of one second's worth. A frame passes while the bucket is not empty, also one that is longer than what it holds; the
 * bytes on credit are then waited for before the next one. So any frame passes some time, and the average is exact.
 *
 * Of the libraries for this, `limiter` refuses to take more than a burst, which a long frame would need, and `rate-limiter-flexible` and
 * `bottleneck` make promises for each take. The bucket is the one of our other limits.
 */
export class Bandwidth {
	/** Takes that had to wait. */
	throttled = 0;
	#bytesPerSecond: number;
	readonly #bucket: TokenBucket;

	constructor(bytesPerSecond: number, nowMs: number) {
		this.#bytesPerSecond = bytesPerSecond;
		this.#bucket = new TokenBucket(bytesPerSecond, nowMs);
	}

	get bytesPerSecond(): number {
		return this.#bytesPerSecond;
	}

	/** Applies from the next take. */
	set bytesPerSecond(value: number) {
		this.#bytesPerSecond = value;
	}

	/** @returns false if the frame must wait for `waitMs`. */
	take(bytes: number, nowMs: number): boolean {
		if (this.#bytesPerSecond === 0 || this.#bucket.take(this.#bytesPerSecond, nowMs, bytes)) return true;
		this.throttled++;
		return false;
	}

	/** Milliseconds until `take` says yes, at most what a timer takes: ask again then. 0 if it would now. */
	waitMs(nowMs: number): number {
		return this.#bytesPerSecond === 0 ? 0 : Math.min(timerMsMax, this.#bucket.waitMs(this.#bytesPerSecond, nowMs));
	}
}
