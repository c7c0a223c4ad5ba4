/**
 * Numbers for the clients that publish, so that a record can name the one that must not get it back: u32, never 0 (which means
 * nobody), never one that a live client has. A number comes back only after all others have been used, so a record that is
 * still in a ring when its sender is gone leaves nobody else out.
 *
 * One owner. Bound: an entry per connected client that has published, freed when it disconnects.
 */
export class SenderIds<T> {
	readonly #live = new Map<number, T>();
	#last: number;

	/** @param first the number before the first one given, for tests of the wrap. */
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

	/** The client with this number, or undefined when it is gone. */
	find(id: number): T | undefined {
		return this.#live.get(id);
	}

	release(id: number): void {
		this.#live.delete(id);
	}
}
