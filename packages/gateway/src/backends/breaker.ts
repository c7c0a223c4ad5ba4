export const BreakerState = { closed: "CLOSED", open: "OPEN", halfOpen: "HALF_OPEN" } as const;
export type BreakerState = (typeof BreakerState)[keyof typeof BreakerState];

export interface BreakerOptions {
	/** Failures in a row that open it. */
	readonly failuresMax: number;
	/** How long it stays open. */
	readonly openMs: number;
	/** Attempts that may be under way while it is half open. */
	readonly probesMax: number;
}

export const breakerDefaults: BreakerOptions = { failuresMax: 10, openMs: 30_000, probesMax: 1 };

/**
 * Decides whether a backend may be dialled. Closed: it may. After `failuresMax` failures in a row it opens, and nothing is dialled for `openMs`.
 * Then it is half open: at most `probesMax` attempts at a time. One that succeeds closes it, one that fails opens it again.
 *
 * Of the libraries for this, `opossum` and `cockatiel` wrap a function and judge the promise that it returns. A link is no such call: it is dialled by
 * its timer, stays up for hours, and has succeeded only after `stableMs`.
 *
 * One owner, the link of one backend. It has no timer: the owner asks `waitMs`. Each `tryBegin` that returned true is followed by one of
 * `succeeded`, `failed` and `abandoned`.
 */
export class Breaker {
	/** Failures in a row. */
	failures = 0;
	/** Times that it opened. */
	opened = 0;
	readonly #options: BreakerOptions;
	readonly #nowMs: () => number;
	#isOpen = false;
	#openUntilMs = 0;
	#probes = 0;

	/** @param nowMs monotonic. */
	constructor(options: BreakerOptions, nowMs: () => number) {
		this.#options = options;
		this.#nowMs = nowMs;
	}

	get state(): BreakerState {
		if (!this.#isOpen) return BreakerState.closed;
		return this.waitMs > 0 ? BreakerState.open : BreakerState.halfOpen;
	}

	/** How long it stays open; 0 = it is not. */
	get waitMs(): number {
		return this.#isOpen ? Math.max(0, this.#openUntilMs - this.#nowMs()) : 0;
	}

	/** Begins an attempt, unless none is allowed now. */
	tryBegin(): boolean {
		if (!this.#isOpen) return true;
		if (this.waitMs > 0 || this.#probes >= this.#options.probesMax) return false;
		this.#probes++;
		return true;
	}

	succeeded(): void {
		this.failures = 0;
		this.#isOpen = false;
		this.#probes = 0;
	}

	failed(): void {
		this.failures++;
		if (!this.#isOpen && this.failures < this.#options.failuresMax) return;
		this.#isOpen = true;
		this.#openUntilMs = this.#nowMs() + this.#options.openMs;
		this.#probes = 0;
		this.opened++;
	}

	/** The attempt ended for another reason than the backend: it was cancelled. */
	abandoned(): void {
		if (this.#probes > 0) this.#probes--;
	}
}
