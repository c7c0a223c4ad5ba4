/** Divides a whole amount in proportion to the counts into whole numbers that add up to it; none exceeds its count if the amount does not exceed all. */
export function inProportion<K>(amount: number, counts: ReadonlyMap<K, number>): Map<K, number> {
	let all = 0;
	for (const count of counts.values()) all += count;
	const parts = new Map<K, number>();
	let before = 0;
	let given = 0;
	for (const [key, count] of counts) {
		before += count;
		const upTo = all === 0 ? 0 : Math.floor((amount * before) / all);
		parts.set(key, upTo - given);
		given = upTo;
	}
	return parts;
}
