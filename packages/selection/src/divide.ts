export interface Part {
	/** Its share of the amount; 0 = nothing. */
	readonly weight: number;
	/** The most that it takes. A whole number. */
	readonly max: number;
	/** Gets one of the units that rounding leaves before the others do. */
	readonly prefers?: (rounded: number) => boolean;
}

/**
 * Divides a whole amount by weight into whole numbers. What a part cannot take goes to the others. The results add up to the amount, or to all that the
 * parts can take.
 */
export function divide(amount: number, parts: readonly Part[]): number[] {
	const results = parts.map(() => 0);
	let open = parts.flatMap(({ weight, max }, at) => (weight > 0 && max > 0 ? [at] : []));
	let left = amount;
	for (;;) {
		const weights = open.reduce((sum, at) => sum + parts[at].weight, 0);
		const shareOf = (at: number) => (left * parts[at].weight) / weights;
		const full = open.filter((at) => shareOf(at) >= parts[at].max);
		if (full.length === 0) {
			for (const [at, share] of rounded(left, open, shareOf, parts)) results[at] = share;
			return results;
		}
		for (const at of full) results[at] = parts[at].max;
		left -= full.reduce((sum, at) => sum + parts[at].max, 0);
		open = open.filter((at) => !full.includes(at));
	}
}

/** Divides a whole amount in proportion to counts, as `divide` does. No part exceeds its count. */
export function divideByCount(amount: number, counts: readonly number[]): number[] {
	return divide(
		amount,
		counts.map((count) => ({ weight: count, max: count })),
	);
}

/** The units that rounding down leaves go one by one to those that prefer one, and then to the largest remainders. */
function rounded(amount: number, open: readonly number[], shareOf: (at: number) => number, parts: readonly Part[]): Map<number, number> {
	const shares = new Map(open.map((at) => [at, Math.floor(shareOf(at))]));
	let left = amount - [...shares.values()].reduce((sum, share) => sum + share, 0);
	const wish = (at: number) => (parts[at].prefers?.(shares.get(at)!) === true ? 1 : 0);
	const order = open
		.map((at) => ({ at, wish: wish(at), remainder: shareOf(at) - shares.get(at)! }))
		.sort((a, b) => b.wish - a.wish || b.remainder - a.remainder);
	for (const { at } of order) {
		if (left-- <= 0) break;
		shares.set(at, shares.get(at)! + 1);
	}
	return shares;
}
