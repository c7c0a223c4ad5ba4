/**
 * So many calls at once, and so many that wait for one of them to end, in order. What is more is refused.
 *
 * One owner, the shard's loop.
 */
export class CallSlots {
	readonly #runningMax: number;
	readonly #waitingMax: number;
	#running = 0;
	/** In the order in which they came. */
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

	/** Calls `begin` once there is a slot, which may be at once. False = there is no place to wait, and it is never called. */
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

	/** Gives back the slot of a call that has begun, or the place of one that waits. */
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
