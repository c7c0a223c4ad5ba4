/** Something with a next deadline. `Deadlines` keeps at most one entry for each. */
export interface Timed {
	/** The next deadline, in seconds of the wheel's clock. Only `Deadlines` writes it. */
	dueAt: number;
	/** Its index in the slot; -1 = it has no deadline. Only `Deadlines` writes it. */
	duePlace: number;
	/** The deadline has passed. May set another one. */
	due(now: number): void;
}

const slots = 64;

/**
 * Holds the next deadline of each of many clients, with a resolution of one second. It is a timer wheel, so clients need no timers. An entry
 * that lies more than one revolution ahead stays in its slot until its turn comes.
 *
 * One owner, the shard's loop, which calls `tick` about once a second. A client costs two numbers and one array element.
 */
export class Deadlines {
	readonly #slots: Timed[][] = Array.from({ length: slots }, () => []);
	#now: number;

	/** @param now the current second. */
	constructor(now: number) {
		this.#now = Math.floor(now);
	}

	/** Number of entries with a deadline. For tests. */
	get count(): number {
		return this.#slots.reduce((sum, { length }) => sum + length, 0);
	}

	/** Replaces the deadline of `timed`. @param at in seconds; Infinity = never. */
	set(timed: Timed, at: number): void {
		this.remove(timed);
		if (at === Number.POSITIVE_INFINITY) return;
		timed.dueAt = Math.max(Math.ceil(at), this.#now + 1);
		timed.duePlace = this.#slots[timed.dueAt % slots]!.push(timed) - 1;
	}

	remove(timed: Timed): void {
		if (timed.duePlace < 0) return;
		const slot = this.#slots[timed.dueAt % slots]!;
		const last = slot.pop()!;
		if (last !== timed) {
			slot[timed.duePlace] = last;
			last.duePlace = timed.duePlace;
		}
		timed.duePlace = -1;
	}

	/** Calls every entry whose deadline has passed. */
	tick(now: number): void {
		const until = Math.floor(now);
		// After a long pause of the process, each slot is visited once.
		const from = Math.max(this.#now + 1, until - slots + 1);
		this.#now = Math.max(this.#now, until);
		for (let second = from; second <= until; second++) {
			const slot = this.#slots[second % slots]!;
			for (const timed of slot.filter(({ dueAt }) => dueAt <= until)) {
				// An entry called earlier in this loop may have removed this one or changed its deadline.
				if (timed.duePlace < 0 || timed.dueAt > until) continue;
				this.remove(timed);
				timed.due(until);
			}
		}
	}
}
