/**
 * Remembers the nonces of accepted announcements for at least `keepMs` and at most twice as long, so that none is accepted twice.
 *
 * One owner. Bound: `noncesMax` in each of two generations. When the current one is full, `add` refuses: to forget a nonce would allow a replay.
 * Only nonces with a valid signature get here, so filling it takes the secret.
 */
export class NonceMemory {
	readonly #keepMs: number;
	readonly #noncesMax: number;
	#current = new Set<string>();
	#former = new Set<string>();
	#beganMs = Number.NEGATIVE_INFINITY;

	constructor(keepMs: number, noncesMax: number) {
		this.#keepMs = keepMs;
		this.#noncesMax = noncesMax;
	}

	get size(): number {
		return this.#current.size + this.#former.size;
	}

	/** @param nowMs monotonic. */
	add(nonce: string, nowMs: number): "added" | "known" | "full" {
		const ageMs = nowMs - this.#beganMs;
		if (ageMs >= this.#keepMs) {
			this.#former = ageMs < 2 * this.#keepMs ? this.#current : new Set();
			this.#current = new Set();
			this.#beganMs = nowMs;
		}
		if (this.#current.has(nonce) || this.#former.has(nonce)) return "known";
		if (this.#current.size >= this.#noncesMax) return "full";
		this.#current.add(nonce);
		return "added";
	}
}
