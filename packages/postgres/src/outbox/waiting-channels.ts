/** Pauses between two tries of a channel. */
const pauseMsMin = 20;
const pauseMsMax = 1000;

interface Waiting {
	untilMs: number;
	pauseMs: number;
	/** Of its oldest row. */
	id: string;
	tries: number;
}

/** The channels whose oldest row could not be published, and when it is tried again. */
export class WaitingChannels {
	readonly #max: number;
	readonly #waiting = new Map<string, Waiting>();

	/** @param max when so many channels wait, `isFull`. */
	constructor(max = 1000) {
		this.#max = max;
	}

	get isFull(): boolean {
		return this.#waiting.size >= this.#max;
	}

	get count(): number {
		return this.#waiting.size;
	}

	/** The row could not be published. @returns how often it was tried. */
	failed(channel: string, id: string, nowMs: number): number {
		const before = this.#waiting.get(channel);
		const pauseMs = before === undefined ? pauseMsMin : Math.min(before.pauseMs * 2, pauseMsMax);
		const tries = before?.id === id ? before.tries + 1 : 1;
		this.#waiting.set(channel, { untilMs: nowMs + pauseMs, pauseMs, id, tries });
		return tries;
	}

	/** A row of it was published. */
	worked(channel: string): void {
		this.#waiting.delete(channel);
	}

	/** Those that are not tried now. */
	names(nowMs: number): readonly string[] {
		return [...this.#waiting].filter(([, { untilMs }]) => untilMs > nowMs).map(([channel]) => channel);
	}

	/** How long until the next one is tried; Infinity = none waits. */
	nextMs(nowMs: number): number {
		let next = Number.POSITIVE_INFINITY;
		for (const { untilMs } of this.#waiting.values()) next = Math.min(next, untilMs - nowMs);
		return Math.max(0, next);
	}

	clear(): void {
		this.#waiting.clear();
	}
}
