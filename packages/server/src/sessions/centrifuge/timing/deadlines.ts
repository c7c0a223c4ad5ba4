/** Something that has a next time. Kept by `Deadlines`: at most one entry each. */
export interface Timed {
	/** When it is due next, in seconds of the wheel's clock. Written by `Deadlines` only. */
	dueAt: number;
	/** Where it is in its slot; -1 = it waits for nothing. Written by `Deadlines` only. */
	duePlace: number;
	/** Its time has come. It may be given another one in here. */
	due(now: number): void;
}

const slots = 64;

/**
 * The next deadline of each of many clients, with a resolution of a second: a wheel, so that clients have no timers. What is further away
 * than the wheel is long passes by and stays.
 *
 * One owner, the shard's loop, which calls `tick` about once a second. Costs two numbers and one place in an array per client.
 */
export class Deadlines {
	readonly #slots: Timed[][] = Array.from({ length: slots }, () => []);
	#now: number;

	/** @param now the present second. */
	constructor(now: number) {
		this.#now = Math.floor(now);
	}

	/** Those that wait. For tests. */
	get count(): number {
		return this.#slots.reduce((sum, { length }) => sum + length, 0);
	}

	/** Instead of the time that it had. @param at in seconds; Infinity = never. */
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

	/** Calls all whose time has come. */
	tick(now: number): void {
		const until = Math.floor(now);
		// After a long pause of the process each slot is looked at once.
		const from = Math.max(this.#now + 1, until - slots + 1);
		this.#now = Math.max(this.#now, until);
		for (let second = from; second <= until; second++) {
			const slot = this.#slots[second % slots]!;
			for (const timed of slot.filter(({ dueAt }) => dueAt <= until)) {
				// One that came before it may have ended it, or given it another time.
				if (timed.duePlace < 0 || timed.dueAt > until) continue;
				this.remove(timed);
				timed.due(until);
			}
		}
	}
}
