/** Groups items by the key that `by` returns. Keeps their order. */
export function grouped<T>(items: readonly T[], by: (item: T) => string): Map<string, T[]> {
	const groups = new Map<string, T[]>();
	for (const item of items) {
		const key = by(item);
		const same = groups.get(key);
		if (same === undefined) groups.set(key, [item]);
		else same.push(item);
	}
	return groups;
}
