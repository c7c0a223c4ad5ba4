/**
 * A quantile out of histogram buckets, linear inside the bucket, as Prometheus does it.
 * `uppers` are the upper bounds in ascending order, the last one Infinity (null in JSON); `counts` are per bucket, not cumulative.
 * Returns null when nothing was counted.
 */
export function quantile(uppers, counts, share) {
	const all = counts.reduce((sum, value) => sum + value, 0);
	if (all <= 0) return null;
	let below = 0;
	for (let index = 0; index < counts.length; index++) {
		if (below + counts[index] < all * share) {
			below += counts[index];
			continue;
		}
		const lower = index === 0 ? 0 : uppers[index - 1];
		const upper = uppers[index];
		// Beyond the last bound nothing is known but that it was more.
		if (upper === null || upper === Number.POSITIVE_INFINITY) return lower;
		return counts[index] === 0 ? lower : lower + ((upper - lower) * (all * share - below)) / counts[index];
	}
	return uppers.at(-2) ?? null;
}
