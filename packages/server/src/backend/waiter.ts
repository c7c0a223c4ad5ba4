/**
 * Who waits for replies. An AbortController would do the same, and costs about 3 µs for each request, most of it for listening to its signal.
 *
 * One owner, the shard's loop. Bound: the calls that are pending.
 */
export class Waiter {
	isGone = false;
	readonly #calls = new Set<() => void>();

	/** Calls `abandoned` when it goes. */
	add(abandoned: () => void): void {
		this.#calls.add(abandoned);
	}

	delete(abandoned: () => void): void {
		this.#calls.delete(abandoned);
	}

	/** It waits no more: its calls are given up. */
	goes(): void {
		this.isGone = true;
		for (const abandoned of [...this.#calls]) abandoned();
	}
}
