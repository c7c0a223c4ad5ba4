import type { HeadParser } from "@shardcast/relay";

/** A connection whose head is not complete. */
export interface WaitingHead {
	readonly fd: number;
	/** When it was accepted (`monotonicMs`). */
	readonly sinceMs: number;
	readonly parser: HeadParser;
	/** Number of bytes parsed so far. */
	seen: number;
	/** Pause before the next check. */
	intervalMs: number;
	/** Time of the next check. */
	dueMs: number;
}

interface WaitingHeadsOptions {
	readonly headsMax: number;
	/** Called at each check. */
	readonly timeoutMs: () => number;
	readonly nowMs: () => number;
	/** Peeks again; false when the connection needs no further check. */
	readonly look: (head: WaitingHead) => boolean;
	/** Called before a run of checks; `end` is called after it. */
	readonly begin: () => void;
	readonly end: () => void;
	/** Gets a connection whose head took too long, or whose place was needed. */
	readonly expire: (head: WaitingHead) => void;
}

/** The second part of a head usually arrives within a millisecond; a head that trickles in is checked 20 times a second. */
const intervalMsMin = 1;
const intervalMsMax = 50;

/**
 * Connections that are peeked at until their head is complete. They cannot be given to the event loop, which would read from them. One timer
 * serves all. Each connection is checked less and less often until something arrives, so many silent ones cost little. One owner. Bound:
 * `headsMax`; one more displaces the oldest.
 */
export class WaitingHeads {
	readonly #options: WaitingHeadsOptions;
	/** In order of arrival, which is also the order of their deadlines. */
	readonly #heads = new Set<WaitingHead>();
	#timer: NodeJS.Timeout | null = null;
	#timerDueMs = 0;

	constructor(options: WaitingHeadsOptions) {
		this.#options = options;
	}

	get size(): number {
		return this.#heads.size;
	}

	add(fd: number, sinceMs: number, parser: HeadParser, seen: number): void {
		const { headsMax, expire, nowMs } = this.#options;
		for (const oldest of this.#heads) {
			if (this.#heads.size < headsMax) break;
			this.#heads.delete(oldest);
			expire(oldest);
		}
		const head = { fd, sinceMs, parser, seen, intervalMs: intervalMsMin, dueMs: nowMs() + intervalMsMin };
		this.#heads.add(head);
		this.#wakeAt(head.dueMs);
	}

	/** Removes and returns the oldest connection if it is at least this old, otherwise null. */
	takeOldest(leastMs: number): WaitingHead | null {
		for (const oldest of this.#heads) {
			if (this.#options.nowMs() - oldest.sinceMs < leastMs) return null;
			this.#heads.delete(oldest);
			if (this.#heads.size === 0) this.#stopTimer();
			return oldest;
		}
		return null;
	}

	/** Removes and returns the connections that `which` selects, by default all. */
	take(which: (head: WaitingHead) => boolean = () => true): WaitingHead[] {
		const taken = [...this.#heads].filter(which);
		for (const head of taken) this.#heads.delete(head);
		if (this.#heads.size === 0) this.#stopTimer();
		return taken;
	}

	readonly #onTimer = (): void => {
		this.#timer = null;
		const { nowMs, look, begin, end, expire } = this.#options;
		const timeoutMs = this.#options.timeoutMs();
		const now = nowMs();
		let nextDueMs = Number.POSITIVE_INFINITY;
		begin();
		for (const head of this.#heads) {
			if (head.dueMs <= now) {
				const { seen } = head;
				if (!look(head)) {
					this.#heads.delete(head);
					continue;
				}
				if (now - head.sinceMs >= timeoutMs) {
					this.#heads.delete(head);
					expire(head);
					continue;
				}
				head.intervalMs = head.seen > seen ? intervalMsMin : Math.min(2 * head.intervalMs, intervalMsMax);
				head.dueMs = now + head.intervalMs;
			}
			if (head.dueMs < nextDueMs) nextDueMs = head.dueMs;
		}
		end();
		if (this.#heads.size > 0) this.#wakeAt(nextDueMs);
	};

	#wakeAt(dueMs: number): void {
		if (this.#timer !== null) {
			if (this.#timerDueMs <= dueMs) return;
			clearTimeout(this.#timer);
		}
		this.#timerDueMs = dueMs;
		this.#timer = setTimeout(this.#onTimer, Math.max(1, dueMs - this.#options.nowMs()));
	}

	#stopTimer(): void {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
	}
}
