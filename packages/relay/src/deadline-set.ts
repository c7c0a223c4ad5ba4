/**
 * A set of items that all have the same maximum lifetime. One owner. Bound: `itemsMax`; when the set is full, the oldest expires early.
 * One timer for all of them, and none while the set is empty.
 */
export class DeadlineSet<T> {
	#lifetimeMs: number;
	readonly #itemsMax: number;
	readonly #expire: (item: T) => void;
	/** When each item was added. This is also the order of their deadlines, since all have the same lifetime. */
	readonly #since = new Map<T, number>();
	#timer: NodeJS.Timeout | null = null;

	/** @param options.expire gets each item that was removed because its time was over or its place was needed. */
	constructor(options: { readonly lifetimeMs: number; readonly itemsMax: number; readonly expire: (item: T) => void }) {
		this.#lifetimeMs = options.lifetimeMs;
		this.#itemsMax = options.itemsMax;
		this.#expire = options.expire;
	}

	/** Applies to existing items, too. */
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

	/** The oldest item; null when the set is empty. */
	get oldest(): T | null {
		for (const item of this.#since.keys()) return item;
		return null;
	}

	/** Removes and returns the oldest item if it is at least this old, otherwise null. */
	takeOldest(leastMs = 0): T | null {
		for (const [item, sinceMs] of this.#since) {
			if (performance.now() - sinceMs < leastMs) return null;
			this.delete(item);
			return item;
		}
		return null;
	}

	/** Removes and returns the items that `which` selects, by default all. */
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
