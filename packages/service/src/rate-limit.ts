interface Bucket {
	tokens: number;
	atMs: number;
}

/**
 * Messages per second and client, by a token bucket that holds one second's worth: a client may send that many at once, and in
 * the long run no more per second.
 *
 * One owner. Bound: `clientsMax` buckets; the one that was used longest ago is forgotten for a new one, which gives that client
 * a full bucket again. Zero messages per second = no limit, and nothing is kept.
 */
export class RateLimit<Key> {
	#perSecond: number;
	#clientsMax: number;
	readonly #buckets = new Map<Key, Bucket>();

	constructor(perSecond: number, clientsMax: number) {
		this.#perSecond = perSecond;
		this.#clientsMax = clientsMax;
	}

	/** Holds from the next message on; a bucket that has more than the new rate allows is cut down to it. */
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

	/** Whether this client may send one message now. */
	take(key: Key, nowMs: number): boolean {
		if (this.isOff) return true;
		const bucket = this.#buckets.get(key) ?? { tokens: this.#perSecond, atMs: nowMs };
		// Taken out and put in again: a Map keeps the order of insertion, so the first is the one used longest ago.
		this.#buckets.delete(key);
		while (this.#buckets.size >= this.#clientsMax) this.#buckets.delete(this.#buckets.keys().next().value as Key);
		this.#buckets.set(key, bucket);
		bucket.tokens = Math.min(this.#perSecond, bucket.tokens + ((nowMs - bucket.atMs) / 1000) * this.#perSecond);
		bucket.atMs = nowMs;
		if (bucket.tokens < 1) return false;
		bucket.tokens--;
		return true;
	}

	forget(key: Key): void {
		this.#buckets.delete(key);
	}
}
