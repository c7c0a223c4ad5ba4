/**
 * Things that may each stay for the same time at most. One owner. Bound: `itemsMax`; when it is full the oldest goes early.
 * One timer for all of them, and none while the set is empty.
 */
export class DeadlineSet<T> {
	readonly #lifetimeMs: number;
	readonly #itemsMax: number;
	readonly #expire: (item: T) => void;
	/** In the order of their deadlines, since all have the same lifetime. */
	readonly #deadlines = new Map<T, number>();
	#timer: NodeJS.Timeout | null = null;

	/** @param options.expire gets an item that has been taken out, its time over or its place needed. */
	constructor(options: { readonly lifetimeMs: number; readonly itemsMax: number; readonly expire: (item: T) => void }) {
		this.#lifetimeMs = options.lifetimeMs;
		this.#itemsMax = options.itemsMax;
		this.#expire = options.expire;
	}

	get size(): number {
		return this.#deadlines.size;
	}

	add(item: T): void {
		if (this.#deadlines.size >= this.#itemsMax) this.#expireOldest();
		this.#deadlines.set(item, performance.now() + this.#lifetimeMs);
		this.#timer ??= setTimeout(this.#onTimer, this.#lifetimeMs);
	}

	delete(item: T): boolean {
		const wasThere = this.#deadlines.delete(item);
		if (this.#deadlines.size === 0) this.#stopTimer();
		return wasThere;
	}

	/** Takes out those that `which` chooses, all by default. */
	take(which: (item: T) => boolean = () => true): T[] {
		const taken = [...this.#deadlines.keys()].filter(which);
		for (const item of taken) this.delete(item);
		return taken;
	}

	readonly #onTimer = (): void => {
		this.#timer = null;
		const nowMs = performance.now();
		for (const deadlineMs of this.#deadlines.values()) {
			if (deadlineMs > nowMs) {
				this.#timer ??= setTimeout(this.#onTimer, deadlineMs - nowMs);
				return;
			}
			this.#expireOldest();
		}
	};

	#expireOldest(): void {
		for (const item of this.#deadlines.keys()) {
			this.delete(item);
			this.#expire(item);
			return;
		}
	}

	#stopTimer(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
	}
}
