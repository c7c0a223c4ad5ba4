import type { HistogramReading } from "@shardcast/telemetry";
import { BoardLayout, type HistogramDescriptor, type RowLayout } from "./scoreboard-descriptor.ts";

/**
 * A histogram with fixed bounds over float64 words in shared memory: one word per bucket, one for values above the last bound, and one for the
 * sum. One writer, any number of readers. Words count exactly up to 2^53.
 *
 * Each bucket has its own count, and readers add them up. So an observation changes two words, and a concurrent reader sees a sum that is off
 * by at most one observation, and never a cumulated bucket that exceeds the next one.
 */
export class HistogramWords {
	readonly #words: Float64Array;
	readonly #bounds: readonly number[];
	readonly #sumAt: number;

	/** @param byteOffset of the first word in `buffer`; a multiple of 8. */
	constructor(buffer: ArrayBufferLike, byteOffset: number, bounds: readonly number[]) {
		if ((bounds.length + 2) * 8 > BoardLayout.histogramBytes)
			throw new RangeError(`${bounds.length} bounds; the most is ${BoardLayout.histogramBytes / 8 - 2}`);
		this.#bounds = bounds;
		this.#sumAt = bounds.length + 1;
		this.#words = new Float64Array(buffer, byteOffset, bounds.length + 2);
	}

	/** Adds `count` observations of `value`. A negative value (clocks of two threads differ slightly) counts as zero. No allocation. */
	observe(value: number, count = 1): void {
		const bounds = this.#bounds;
		const at = value > 0 ? value : 0;
		let low = 0;
		let high = bounds.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (at <= bounds[middle]!) high = middle;
			else low = middle + 1;
		}
		this.#words[low]! += count;
		this.#words[this.#sumAt]! += at * count;
	}

	read(): HistogramReading {
		let count = 0;
		const counts = this.#bounds.map((_, index) => {
			count += this.#words[index]!;
			return count;
		});
		count += this.#words[this.#bounds.length]!;
		return { bounds: this.#bounds, counts, count, sum: this.#words[this.#sumAt]! };
	}
}

/** The histograms of one row, by name. */
export type Histograms<Name extends string> = Readonly<Record<Name, HistogramWords>>;

/** @param byteOffset of the row. */
export function histogramsAt<Name extends string>(
	table: readonly (HistogramDescriptor & readonly [Name, ...unknown[]])[],
	buffer: ArrayBufferLike,
	byteOffset: number,
	layout: Pick<RowLayout, "histograms" | "histogramBytes" | "histogramsMax"> = BoardLayout,
): Histograms<Name> {
	if (table.length > layout.histogramsMax) throw new RangeError(`${table.length} histograms; the most is ${layout.histogramsMax}`);
	const first = byteOffset + layout.histograms;
	return Object.fromEntries(
		table.map(([name, , bounds], index) => [name, new HistogramWords(buffer, first + index * layout.histogramBytes, bounds)]),
	) as Histograms<Name>;
}
