/**
 * Time that may be spent on something: at most `msMax` at once, and in the long run `share` of the time. One owner; times come from the
 * caller and never go back.
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

	/** Spends this much of the time. What is more than was left is owed. */
	spend(ms: number): void {
		this.#leftMs -= ms;
	}

	/** What is left now; negative when some is owed. */
	leftMs(nowMs: number): number {
		if (nowMs > this.#atMs) this.#leftMs = Math.min(this.#msMax, this.#leftMs + (nowMs - this.#atMs) * this.#share);
		this.#atMs = nowMs;
		return this.#leftMs;
	}
}
