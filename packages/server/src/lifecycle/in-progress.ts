/** Counts work in progress, so that a drain can wait for its end. Owned by the shard's loop. The callers bound the work. */
export class InProgress {
	#count = 0;
	#whenNone: (() => void)[] = [];

	get count(): number {
		return this.#count;
	}

	begin(): void {
		this.#count++;
	}

	/** Call once for each `begin`. */
	end(): void {
		if (--this.#count > 0) return;
		for (const resolve of this.#whenNone.splice(0)) resolve();
	}

	/** Resolves when nothing is in progress. */
	whenNone(): Promise<void> {
		if (this.#count === 0) return Promise.resolve();
		return new Promise((resolve) => this.#whenNone.push(resolve));
	}
}
