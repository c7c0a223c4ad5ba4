/** Of a node or a shard. */
export const weightMax = 1000;

/** A weight of a list, as text. @throws RangeError whose message completes the sentence `"<text>" …`. */
export function weightText(item: string): string {
	const weight = /^\d{1,4}$/.test(item) ? Number(item) : 0;
	if (weight < 1 || weight > weightMax) throw new RangeError(`is no weight; give whole numbers from 1 to ${weightMax}`);
	return item;
}
