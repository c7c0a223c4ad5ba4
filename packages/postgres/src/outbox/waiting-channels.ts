/** Pauses between two attempts for a channel. */
const pauseMsMin = 20;
const pauseMsMax = 1000;

interface Waiting {
	untilMs: number;
	pauseMs: number;
	/** Of its oldest row. */
	id: string;
	/** Those that are limited. */
	tries: number;
}

/** The channels whose oldest row could not be published, and when it is tried again. Bound: `max`, and the rows of one read. */
export class WaitingChannels {
	readonly #max: number;
	readonly #waiting = new Map<string, Waiting>();

	/** @param max when so many channels wait, `isFull`: then only their rows are read. */
	constructor(max = 1000) {
		this.#max = max;
	}

	get isFull(): boolean {
		return this.#waiting.size >= this.#max;
	}

	get count(): number {
		return this.#waiting.size;
	}

	/** The row could not be published. @param counts whether it is a try of those that are limited. @returns how many there were. */
	failed(channel: string, id: string, nowMs: number, counts: boolean): number {
		const before = this.#waiting.get(channel);
		const doubledMs = before === undefined ? pauseMsMin : before.pauseMs * 2;
		// The limited tries must not be used up in an instant.
		const pauseMs = counts ? pauseMsMax : Math.min(doubledMs, pauseMsMax);
		const tries = (before?.id === id ? before.tries : 0) + (counts ? 1 : 0);
		this.#waiting.set(channel, { untilMs: nowMs + pauseMs, pauseMs, id, tries });
		return tries;
	}

	/** A row of it was published, or it has none. */
	worked(channel: string): void {
		this.#waiting.delete(channel);
	}

	/** Channels whose next attempt is not due yet. */
	names(nowMs: number): readonly string[] {
		return [...this.#waiting].filter(([, { untilMs }]) => untilMs > nowMs).map(([channel]) => channel);
	}

	/** Those whose pause is over. */
	due(nowMs: number): readonly string[] {
		return [...this.#waiting].filter(([, { untilMs }]) => untilMs <= nowMs).map(([channel]) => channel);
	}

	/** Time until the next attempt is due; Infinity = no channel waits. */
	nextMs(nowMs: number): number {
		let next = Number.POSITIVE_INFINITY;
		for (const { untilMs } of this.#waiting.values()) next = Math.min(next, untilMs - nowMs);
		return Math.max(0, next);
	}

	clear(): void {
		this.#waiting.clear();
	}
}
