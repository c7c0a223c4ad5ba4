/**
 * The most signatures that are checked at once. Each costs the loop about 0.1 ms around the check itself, which runs on other threads. This
 * limits how many checks start and end in one turn of the loop.
 */
const atOnceMax = 16;

/**
 * Spreads the checks of signatures over turns of the loop. When all clients reconnect, thousands of tokens arrive within one turn; without this,
 * deliveries would wait for all of them.
 *
 * Owned by the shard's loop. Bound: each connection has at most one token waiting here.
 */
export class VerificationTurns {
	#running = 0;
	#waiting: (() => void)[] = [];
	#isPlanned = false;

	/** The number of checks that wait. */
	get waiting(): number {
		return this.#waiting.length;
	}

	/** Resolves when the check may start; null = at once. `end` must be called once for each. */
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

	/** Runs in a later turn, after the deliveries in between. */
	readonly #next = (): void => {
		this.#isPlanned = false;
		const free = this.#waiting.splice(0, atOnceMax - this.#running);
		this.#running += free.length;
		for (const resolve of free) resolve();
	};
}
