/** How a figure lies over the rounds of a bench: never an average alone, which hides the round that went wrong. */
export interface Spread {
	readonly min: number;
	readonly median: number;
	readonly max: number;
}

/** @throws RangeError when there is nothing to summarise: an empty spread would print as a plausible zero. */
export function spreadOf(values: readonly number[]): Spread {
	if (values.length === 0) throw new RangeError("no values: a spread needs at least one");
	const sorted = [...values].sort((a, b) => a - b);
	const middle = sorted.length >> 1;
	const median = sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
	return { min: sorted[0]!, median, max: sorted.at(-1)! };
}
