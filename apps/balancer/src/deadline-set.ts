/**
 * Things that may each stay for the same time at most. One owner. Bound: `itemsMax`; when it is full the oldest goes early.
 * One timer for all of them, and none while the set is empty.
 */
export class DeadlineSet<T> {
	#lifetimeMs: number;
	readonly #itemsMax: number;
	readonly #expire: (item: T) => void;
	/** When each came: in the order of their deadlines, since all have the same lifetime. */
	readonly #since = new Map<T, number>();
	#timer: NodeJS.Timeout | null = null;

	/** @param options.expire gets an item that has been taken out, its time over or its place needed. */
	constructor(options: { readonly lifetimeMs: number; readonly itemsMax: number; readonly expire: (item: T) => void }) {
		this.#lifetimeMs = options.lifetimeMs;
		this.#itemsMax = options.itemsMax;
		this.#expire = options.expire;
	}

	/** Holds for those that are here as well. */
	set lifetimeMs(value: number) {
		this.#lifetimeMs = value;
		this.#stopTimer();
		if (this.#since.size > 0) this.#timer = setTimeout(this.#onTimer, 0);
	}

	get size(): number {
		return this.#since.size;
	}

	add(item: T): void {
		if (this.#since.size >= this.#itemsMax) this.#expireOldest();
		this.#since.set(item, performance.now());
		this.#timer ??= setTimeout(this.#onTimer, this.#lifetimeMs);
	}

	delete(item: T): boolean {
		const wasThere = this.#since.delete(item);
		if (this.#since.size === 0) this.#stopTimer();
		return wasThere;
	}

	/** The one that has been there longest; null when there is none. */
	get oldest(): T | null {
		for (const item of this.#since.keys()) return item;
		return null;
	}

	/** Takes out the one that has been there longest, if that is as long as this; else null. */
	takeOldest(leastMs = 0): T | null {
		for (const [item, sinceMs] of this.#since) {
			if (performance.now() - sinceMs < leastMs) return null;
			this.delete(item);
			return item;
		}
		return null;
	}

	/** Takes out those that `which` chooses, all by default. */
	take(which: (item: T) => boolean = () => true): T[] {
		const taken = [...this.#since.keys()].filter(which);
		for (const item of taken) this.delete(item);
		return taken;
	}

	readonly #onTimer = (): void => {
		this.#timer = null;
		const nowMs = performance.now();
		for (const sinceMs of this.#since.values()) {
			const deadlineMs = sinceMs + this.#lifetimeMs;
			if (deadlineMs > nowMs) {
				this.#timer ??= setTimeout(this.#onTimer, deadlineMs - nowMs);
				return;
			}
			this.#expireOldest();
		}
	};

	#expireOldest(): void {
		const oldest = this.takeOldest();
		if (oldest !== null) this.#expire(oldest);
	}

	#stopTimer(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
	}
}
