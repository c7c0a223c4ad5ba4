/**
 * Assigns numbers to clients that publish, so that a record can name the one client that must not get it back. A number is a u32, never 0 (which
 * means no client), and never that of another connected client. It is reused only after all others, so a record that is still in a ring after
 * its sender has disconnected excludes nobody else.
 *
 * One owner. Bound: an entry for each connected client that has published, removed when it disconnects.
 */
export class SenderIds<T> {
	readonly #live = new Map<number, T>();
	#last: number;

	/** @param first the number before the first one assigned; tests use it to reach the wrap-around. */
	constructor(first = 0) {
		this.#last = first >>> 0;
	}

	get count(): number {
		return this.#live.size;
	}

	assign(owner: T): number {
		do this.#last = (this.#last + 1) >>> 0;
		while (this.#last === 0 || this.#live.has(this.#last));
		this.#live.set(this.#last, owner);
		return this.#last;
	}

	/** The client with this number, or undefined when it has disconnected. */
	find(id: number): T | undefined {
		return this.#live.get(id);
	}

	release(id: number): void {
		this.#live.delete(id);
	}
}
