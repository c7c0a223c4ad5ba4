/**
 * So many signatures at most are checked at once. Each costs the loop about 0.1 ms around the check itself, which other threads do: what begins
 * and what ends in one turn of the loop is bounded by this.
 */
const atOnceMax = 16;

/**
 * Spreads the checks of signatures over turns of the loop. When all clients reconnect, thousands of tokens arrive within one turn; without
 * this, deliveries would wait for all of them.
 *
 * One owner, the shard's loop. Bound: a connection has one token at a time that waits here.
 */
export class VerificationTurns {
	#running = 0;
	#waiting: (() => void)[] = [];
	#isPlanned = false;

	/** Checks that wait for their turn. */
	get waiting(): number {
		return this.#waiting.length;
	}

	/** Resolves when the check may begin; null = at once. `end` must be called once for each. */
	begin(): Promise<void> | null {
		if (this.#running < atOnceMax && this.#waiting.length === 0) {
			this.#running++;
			return null;
		}
		return new Promise((resolve) => this.#waiting.push(resolve));
	}

	end(): void {
		this.#running--;
		if (this.#waiting.length === 0 || this.#isPlanned) return;
		this.#isPlanned = true;
		setImmediate(this.#next);
	}

	/** In a later turn: what is delivered meanwhile comes before. */
	readonly #next = (): void => {
		this.#isPlanned = false;
		const free = this.#waiting.splice(0, atOnceMax - this.#running);
		this.#running += free.length;
		for (const resolve of free) resolve();
	};
}
