/** What one process, or the shared memory, took at one time. */
export interface Sample {
	readonly atMs: number;
	/** By name, such as "shard 0 memory" in bytes or "shard 0 descriptors". */
	readonly values: ReadonlyMap<string, number>;
}

export interface Growth {
	readonly name: string;
	readonly start: number;
	readonly end: number;
	/** Part of 1. */
	readonly growth: number;
	readonly isTooMuch: boolean;
}

/** Part of the samples that is compared at either end. */
const windowPart = 0.2;
export const growthMax = 0.05;

/**
 * Compares the first samples with the last ones. Of each part the lower quartile counts: memory goes up until the next garbage collection, and what a leak
 * takes is there after it as well. Fewer is never wrong.
 */
export function judgeGrowth(samples: readonly Sample[]): Growth[] {
	const count = Math.floor(samples.length * windowPart);
	if (count < 3) throw new Error(`${samples.length} samples are too few to compare`);
	const [first, last] = [samples.slice(0, count), samples.slice(-count)];
	const names = new Set(last.flatMap(({ values }) => [...values.keys()]));
	return [...names].map((name) => {
		const [start, end] = [lowerQuartile(first, name), lowerQuartile(last, name)];
		const growth = start === 0 ? (end === 0 ? 0 : Number.POSITIVE_INFINITY) : end / start - 1;
		return { name, start, end, growth, isTooMuch: growth > growthMax };
	});
}

function lowerQuartile(samples: readonly Sample[], name: string): number {
	const values = samples.flatMap((sample) => sample.values.get(name) ?? []).toSorted((a, b) => a - b);
	// A process that was not there then has begun with nothing.
	return values[Math.floor((values.length - 1) / 4)] ?? 0;
}
