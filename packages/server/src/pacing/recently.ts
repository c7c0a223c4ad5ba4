/**
 * How many different things were seen lately: in the current window and the whole one before it, whichever is more. One owner. Bound: the
 * things that there are; one that is gone must be forgotten.
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

	/** Begins another window when it is time for it. */
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
