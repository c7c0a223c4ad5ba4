/** What is counted, by position in a row. */
export const Progress = { opened: 0, ended: 1, received: 2, sent: 3, failed: 4 } as const;
export type Progress = (typeof Progress)[keyof typeof Progress];

/** A row is a separate pair of cache lines. */
const rowLength = 16;

/**
 * What each thread has done so far, in shared memory: the main thread shows it and waits on it without a message per step.
 * One row per thread, which alone writes it; 8-byte aligned float64, so a read is never torn, only a moment old.
 */
export class ProgressCounters {
	readonly buffer: SharedArrayBuffer;
	readonly threads: number;
	readonly #values: Float64Array;

	constructor(source: { readonly threads: number } | SharedArrayBuffer) {
		this.buffer = source instanceof SharedArrayBuffer ? source : new SharedArrayBuffer(source.threads * rowLength * 8);
		this.#values = new Float64Array(this.buffer);
		this.threads = this.#values.length / rowLength;
	}

	add(thread: number, counter: Progress, count: number): void {
		this.#values[thread * rowLength + counter] += count;
	}

	/** What one thread has counted, for `set` in another process. */
	row(thread: number): number[] {
		return Array.from(this.#values.subarray(thread * rowLength, thread * rowLength + Object.keys(Progress).length));
	}

	/** Takes over what a thread of another process has counted. */
	set(thread: number, row: readonly number[]): void {
		this.#values.set(row, thread * rowLength);
	}

	/** Sum over all threads. */
	total(counter: Progress): number {
		let sum = 0;
		for (let at: number = counter; at < this.#values.length; at += rowLength) sum += this.#values[at];
		return sum;
	}
}
