/** A token bucket that holds up to one second's worth. Each take passes the current rate per second. */
export class TokenBucket {
	// Fractions: V8 stores into a field that began as one without making an object, which it does for one that began as a whole number.
	#tokens = 0.5;
	#atMs = 0.5;

	/** Creates a full bucket. */
	constructor(perSecond: number, nowMs: number) {
		this.#tokens = perSecond;
		this.#atMs = nowMs;
	}

	/** @param amount may be more than there is: the difference is owed, and nothing can be taken until it has come in. */
	take(perSecond: number, nowMs: number, amount = 1): boolean {
		this.#tokens = this.#tokensAt(perSecond, nowMs);
		this.#atMs = nowMs;
		if (this.#tokens < 1) return false;
		this.#tokens -= amount;
		return true;
	}

	/** Takes it even if nothing is there: then all of it is owed. */
	owe(perSecond: number, nowMs: number, amount: number): void {
		this.#tokens = this.#tokensAt(perSecond, nowMs) - amount;
		this.#atMs = nowMs;
	}

	/** Whole milliseconds until something can be taken. */
	waitMs(perSecond: number, nowMs: number): number {
		return Math.max(0, Math.ceil(((1 - this.#tokensAt(perSecond, nowMs)) * 1000) / perSecond));
	}

	/** Whether the bucket is full, so that dropping it makes no difference. Only where nothing is owed. */
	isFull(nowMs: number): boolean {
		return nowMs - this.#atMs >= 1000;
	}

	#tokensAt(perSecond: number, nowMs: number): number {
		return Math.min(perSecond, this.#tokens + ((nowMs - this.#atMs) * perSecond) / 1000);
	}
}
