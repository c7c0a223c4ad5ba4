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

/** A client's bucket in the order of use: the list's ends are those used longest ago and last. */
interface Entry<Key> {
	readonly key: Key;
	readonly bucket: TokenBucket;
	older: Entry<Key> | null;
	newer: Entry<Key> | null;
}

/**
 * So many per second and client, by a token bucket that holds one second's worth: a client may have that many at once, and in
 * the long run no more per second.
 *
 * One owner. Bound: `clientsMax` buckets; the one that was used longest ago is forgotten for a new one, which gives that client
 * a full bucket again (`forgotten` counts those that would not have been full by then). Zero per second = no limit, and nothing is kept.
 * A key that clients choose must be a string or an object: V8 hashes numbers and bigints without a secret.
 *
 * The order of use is a separate list. A Map keeps an order as well, but taking a key out and putting it in again leaves a hole
 * each time, in the chain of that very key: with 20,000 clients the busiest one's lookup then takes 50 µs.
 */
export class RateLimit<Key> {
	forgotten = 0;
	#perSecond: number;
	#clientsMax: number;
	readonly #entries = new Map<Key, Entry<Key>>();
	#oldest: Entry<Key> | null = null;
	#newest: Entry<Key> | null = null;

	constructor(perSecond: number, clientsMax: number) {
		this.#perSecond = perSecond;
		this.#clientsMax = clientsMax;
	}

	/** Holds from the next take on; a bucket that has more than the new rate allows is cut down to it. */
	set perSecond(value: number) {
		this.#perSecond = value;
		if (value > 0) return;
		this.#entries.clear();
		this.#oldest = null;
		this.#newest = null;
	}

	/** Buckets that may be kept from now on; what is beyond goes as others come. */
	set clientsMax(value: number) {
		this.#clientsMax = value;
	}

	get isOff(): boolean {
		return this.#perSecond === 0;
	}

	get count(): number {
		return this.#entries.size;
	}

	/** Whether this client may have one more now. */
	take(key: Key, nowMs: number): boolean {
		if (this.isOff) return true;
		let entry = this.#entries.get(key);
		if (entry === undefined) {
			while (this.#oldest !== null && this.#entries.size >= this.#clientsMax) {
				if (!this.#oldest.bucket.isFull(nowMs)) this.forgotten++;
				this.forget(this.#oldest.key);
			}
			entry = { key, bucket: new TokenBucket(this.#perSecond, nowMs), older: null, newer: null };
			this.#entries.set(key, entry);
			this.#append(entry);
		} else if (entry !== this.#newest) {
			this.#unlink(entry);
			this.#append(entry);
		}
		return entry.bucket.take(this.#perSecond, nowMs);
	}

	forget(key: Key): void {
		const entry = this.#entries.get(key);
		if (entry === undefined) return;
		this.#entries.delete(key);
		this.#unlink(entry);
	}

	#append(entry: Entry<Key>): void {
		entry.older = this.#newest;
		entry.newer = null;
		if (this.#newest === null) this.#oldest = entry;
		else this.#newest.newer = entry;
		this.#newest = entry;
	}

	#unlink(entry: Entry<Key>): void {
		if (entry.older === null) this.#oldest = entry.newer;
		else entry.older.newer = entry.newer;
		if (entry.newer === null) this.#newest = entry.older;
		else entry.newer.older = entry.older;
	}
}
