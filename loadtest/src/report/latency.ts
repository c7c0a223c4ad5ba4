import { build, decodeFromCompressedBase64, encodeIntoCompressedBase64, type Histogram } from "hdr-histogram-js";

/** Longest latency that is recorded exactly, in microseconds: two minutes. */
const highestUs = 120_000_000;
/** Below this, a latency is counted in an array of one element per microsecond. */
const exactUs = 65_536;

function emptyHistogram(): Histogram {
	return build({ lowestDiscernibleValue: 1, highestTrackableValue: highestUs, numberOfSignificantValueDigits: 3, autoResize: false });
}

/**
 * Latencies of one thread. `recordValue` of the histogram costs about 50 ns, which at 500,000 messages a second is work that
 * would change what it measures; so the usual values are counted in an array (1 ns) and go into the histogram when it is read.
 */
export class LatencyRecorder {
	readonly #exact = new Uint32Array(exactUs);
	readonly #histogram = emptyHistogram();

	record(latencyMs: number): void {
		const us = Math.round(latencyMs * 1000);
		if (us >= 0 && us < exactUs) this.#exact[us]++;
		else this.#histogram.recordValue(Math.min(Math.max(us, 1), highestUs));
	}

	/** Forgets everything. Unlike `take` it is done within 0.1 ms, so that a measurement does not begin with a wait for it. */
	clear(): void {
		this.#exact.fill(0);
		this.#histogram.reset();
	}

	/** Everything since the last `take` or `clear`, as text that travels between threads. */
	take(): string {
		for (let us = 0; us < exactUs; us++) {
			if (this.#exact[us] > 0) this.#histogram.recordValueWithCount(Math.max(us, 1), this.#exact[us]);
		}
		const encoded = encodeIntoCompressedBase64(this.#histogram);
		this.clear();
		return encoded;
	}
}

export interface LatencySummary {
	readonly count: number;
	readonly meanMs: number;
	readonly p50Ms: number;
	readonly p90Ms: number;
	readonly p95Ms: number;
	readonly p99Ms: number;
	readonly p999Ms: number;
	readonly maxMs: number;
}

/** A histogram of these latencies, as pairs: microseconds, and how often. As text that `summariseLatency` reads. */
export function encodeLatencies(pairs: ArrayLike<number>): string {
	const histogram = emptyHistogram();
	for (let at = 0; at < pairs.length; at += 2) histogram.recordValueWithCount(Math.min(pairs[at], highestUs), pairs[at + 1]);
	return encodeIntoCompressedBase64(histogram);
}

/** One histogram of several. @throws when a text is none. */
export function mergeLatencies(encoded: readonly string[]): string {
	return encodeIntoCompressedBase64(merge(encoded));
}

function merge(encoded: readonly string[]): Histogram {
	const merged = emptyHistogram();
	for (const text of encoded) merged.add(decodeFromCompressedBase64(text));
	return merged;
}

/** One summary of what several threads recorded: of the merged histogram, never an average of percentiles. */
export function summariseLatency(encoded: readonly string[]): LatencySummary {
	const merged = merge(encoded);
	const ms = (percentile: number): number => (merged.totalCount === 0 ? 0 : merged.getValueAtPercentile(percentile) / 1000);
	return {
		count: merged.totalCount,
		meanMs: merged.totalCount === 0 ? 0 : merged.mean / 1000,
		p50Ms: ms(50),
		p90Ms: ms(90),
		p95Ms: ms(95),
		p99Ms: ms(99),
		p999Ms: ms(99.9),
		maxMs: merged.totalCount === 0 ? 0 : merged.maxValue / 1000,
	};
}
