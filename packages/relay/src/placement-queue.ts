/** Interval between looks at the shards; they report within a turn of their loop. */
const lookMs = 2;

/** When a connection is placed or refused. */
export interface PlacementRules {
	/** How long a connection waits for room before it is refused. */
	readonly waitMs: number;
	/** How long it waits while the shards that it may go to are merely delayed; at least `waitMs`. */
	readonly heldUpMs: number;
	readonly itemsMax: number;
	/** Reads the shards' rows again; called before a run of `place`. */
	readonly look: () => void;
}

interface PlacementQueueOptions<T> extends PlacementRules {
	/** Whether the shards that it may go to are merely delayed, as of the last look. */
	readonly areHeldUp: (item: T) => boolean;
	/** Assigns it to a shard; false when none has room. */
	readonly place: (item: T) => boolean;
	/** Called after a run of `place`. */
	readonly placed: () => void;
	readonly refuse: (item: T) => void;
}

/**
 * Connections for which no shard had room or was there. A shard may have room that it has not reported yet, so the balancer keeps looking
 * for a moment before it refuses a client. One owner. Bound: `itemsMax`; any more are refused at once.
 */
export class PlacementQueue<T> {
	readonly #options: PlacementQueueOptions<T>;
	#waiting: { readonly item: T; readonly sinceMs: number }[] = [];
	#timer: NodeJS.Timeout | null = null;

	constructor(options: PlacementQueueOptions<T>) {
		this.#options = options;
	}

	get size(): number {
		return this.#waiting.length;
	}

	add(item: T): void {
		if (this.#waiting.length >= this.#options.itemsMax) {
			this.#options.refuse(item);
			return;
		}
		this.#waiting.push({ item, sinceMs: performance.now() });
		this.#timer ??= setTimeout(this.#onTimer, lookMs);
	}

	/** Removes and returns all. */
	take(): T[] {
		const items = this.#waiting.map(({ item }) => item);
		this.#waiting = [];
		this.#stopTimer();
		return items;
	}

	readonly #onTimer = (): void => {
		this.#timer = null;
		this.#run();
		if (this.#waiting.length > 0) this.#timer ??= setTimeout(this.#onTimer, lookMs);
	};

	#run(): void {
		const nowMs = performance.now();
		// A connection that comes back from a dead shard may be added while this runs; it goes to the end.
		const waiting = this.#waiting;
		this.#waiting = [];
		const left: typeof waiting = [];
		this.#options.look();
		const { waitMs, heldUpMs, areHeldUp } = this.#options;
		const isOver = (item: T, waitedMs: number) => waitedMs >= waitMs && (waitedMs >= heldUpMs || !areHeldUp(item));
		for (const entry of waiting) {
			if (this.#options.place(entry.item)) continue;
			if (isOver(entry.item, nowMs - entry.sinceMs)) this.#options.refuse(entry.item);
			else left.push(entry);
		}
		this.#options.placed();
		this.#waiting = left.concat(this.#waiting);
	}

	#stopTimer(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
	}
}
