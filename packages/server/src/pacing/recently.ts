/**
 * Counts different items seen recently: the maximum of the current window and the one before. One owner. Bound: the number of existing items; call
 * `forget` for one that is gone.
 */
export class Recently<T> {
	readonly #windowMs: number;
	readonly #seen = new Set<T>();
	#before = 0;
	#beganMs = Number.NEGATIVE_INFINITY;

	constructor(windowMs: number) {
		this.#windowMs = windowMs;
	}

	get count(): number {
		return Math.max(this.#before, this.#seen.size);
	}

	/** Starts a new window if it is time. */
	advance(nowMs: number): void {
		const ageMs = nowMs - this.#beganMs;
		if (ageMs < this.#windowMs) return;
		this.#before = ageMs < 2 * this.#windowMs ? this.#seen.size : 0;
		this.#seen.clear();
		this.#beganMs = nowMs;
	}

	saw(thing: T): void {
		this.#seen.add(thing);
	}

	forget(thing: T): void {
		this.#seen.delete(thing);
	}
}
