/** Tokens that come back with time, up to a second's worth. Whoever owns it says at each take how many per second. */
export class TokenBucket {
	#tokens: number;
	#atMs: number;

	/** A full one. */
	constructor(perSecond: number, nowMs: number) {
		this.#tokens = perSecond;
		this.#atMs = nowMs;
	}

	take(perSecond: number, nowMs: number): boolean {
		this.#tokens = Math.min(perSecond, this.#tokens + ((nowMs - this.#atMs) / 1000) * perSecond);
		this.#atMs = nowMs;
		if (this.#tokens < 1) return false;
		this.#tokens--;
		return true;
	}

	/** As good as a new one: forgetting it gives nothing away. */
	isFull(nowMs: number): boolean {
		return nowMs - this.#atMs >= 1000;
	}
}

/**
 * So many per second and client, by a token bucket that holds one second's worth: a client may have that many at once, and in
 * the long run no more per second.
 *
 * One owner. Bound: `clientsMax` buckets; the one that was used longest ago is forgotten for a new one, which gives that client
 * a full bucket again (`forgotten` counts those that would not have been full by then). Zero per second = no limit, and nothing is kept.
 */
export class RateLimit<Key> {
	forgotten = 0;
	#perSecond: number;
	#clientsMax: number;
	readonly #buckets = new Map<Key, TokenBucket>();

	constructor(perSecond: number, clientsMax: number) {
		this.#perSecond = perSecond;
		this.#clientsMax = clientsMax;
	}

	get perSecond(): number {
		return this.#perSecond;
	}

	/** Holds from the next take on; a bucket that has more than the new rate allows is cut down to it. */
	set perSecond(value: number) {
		this.#perSecond = value;
		if (value === 0) this.#buckets.clear();
	}

	/** Buckets that may be kept from now on; what is beyond goes as others come. */
	set clientsMax(value: number) {
		this.#clientsMax = value;
	}

	get isOff(): boolean {
		return this.#perSecond === 0;
	}

	get count(): number {
		return this.#buckets.size;
	}

	/** Whether this client may have one more now. */
	take(key: Key, nowMs: number): boolean {
		if (this.isOff) return true;
		const bucket = this.#buckets.get(key) ?? new TokenBucket(this.#perSecond, nowMs);
		// Taken out and put in again: a Map keeps the order of insertion, so the first is the one used longest ago.
		this.#buckets.delete(key);
		while (this.#buckets.size >= this.#clientsMax) this.#forgetOldest(nowMs);
		this.#buckets.set(key, bucket);
		return bucket.take(this.#perSecond, nowMs);
	}

	forget(key: Key): void {
		this.#buckets.delete(key);
	}

	#forgetOldest(nowMs: number): void {
		for (const [key, bucket] of this.#buckets) {
			if (!bucket.isFull(nowMs)) this.forgotten++;
			this.#buckets.delete(key);
			return;
		}
	}
}
