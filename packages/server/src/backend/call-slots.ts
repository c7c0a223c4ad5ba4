/**
 * Limits concurrent calls. A bounded number of further calls waits, in order; more are refused.
 *
 * One owner, the shard's loop.
 */
export class CallSlots {
	readonly #runningMax: number;
	readonly #waitingMax: number;
	#running = 0;
	/** In order of arrival. */
	readonly #waiting = new Set<() => void>();

	constructor(runningMax: number, waitingMax: number) {
		this.#runningMax = runningMax;
		this.#waitingMax = waitingMax;
	}

	get running(): number {
		return this.#running;
	}

	get waiting(): number {
		return this.#waiting.size;
	}

	/** Calls `begin` as soon as there is a slot, possibly immediately. False = too many are waiting, and `begin` is never called. */
	take(begin: () => void): boolean {
		if (this.#running < this.#runningMax) {
			this.#running++;
			begin();
			return true;
		}
		if (this.#waiting.size >= this.#waitingMax) return false;
		this.#waiting.add(begin);
		return true;
	}

	/** Releases the slot of a call that has begun, or the place of one that is waiting. */
	leave(begin: () => void): void {
		if (this.#waiting.delete(begin)) return;
		const [next] = this.#waiting;
		if (next === undefined) this.#running--;
		else {
			this.#waiting.delete(next);
			next();
		}
	}
}
