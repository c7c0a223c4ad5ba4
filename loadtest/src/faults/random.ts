/** Repeatable random numbers: the same seed gives the same ones on every machine. */
export class Random {
	#state: number;

	/** @param stream a number of a further generator of the same seed, which is independent of the others. */
	constructor(seed: number, stream = 0) {
		this.#state = (Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(stream + 1, 0xc2b2ae35)) >>> 0;
	}

	/** From 0 to 2³² - 1. */
	next(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return (mixed ^ (mixed >>> 14)) >>> 0;
	}

	below(count: number): number {
		return Math.floor((this.next() / 0x1_0000_0000) * count);
	}

	pick<T>(values: readonly T[]): T {
		return values[this.below(values.length)]!;
	}

	shuffled<T>(values: readonly T[]): T[] {
		const all = [...values];
		for (let last = all.length - 1; last > 0; last--) {
			const other = this.below(last + 1);
			[all[last], all[other]] = [all[other]!, all[last]!];
		}
		return all;
	}
}
