/**
 * A time budget: at most `msMax` at once, and `share` of the time in the long run. One owner. The caller passes the time, which must not go back.
 */
export class Allowance {
	readonly #msMax: number;
	readonly #share: number;
	#leftMs: number;
	#atMs = Number.NaN;

	constructor(msMax: number, share: number) {
		this.#msMax = msMax;
		this.#share = share;
		this.#leftMs = msMax;
	}

	/** Spends time. If it exceeds what is left, the rest is owed. */
	spend(ms: number): void {
		this.#leftMs -= ms;
	}

	/** Time left; negative if some is owed. */
	leftMs(nowMs: number): number {
		if (nowMs > this.#atMs) this.#leftMs = Math.min(this.#msMax, this.#leftMs + (nowMs - this.#atMs) * this.#share);
		this.#atMs = nowMs;
		return this.#leftMs;
	}
}
