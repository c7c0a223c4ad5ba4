/** Buffers kept for the next answers: one being read into, one being offered, one for the bytes behind a finished answer. */
const keptMax = 3;

/**
 * Buffers that fetch answers are read into, used again and again. **One per source, used by one thread.** A new buffer of megabytes
 * for each answer costs more than reading it: the kernel clears its pages, and V8 collects garbage to be rid of the last one.
 *
 * Bound: `keptMax` buffers of `bytes`. One that is never given back is the garbage collector's.
 */
export class AnswerBuffers {
	readonly #bytes: number;
	readonly #kept: Buffer[] = [];

	/** @param bytes of an ordinary answer; larger ones get a buffer of their own, which is not kept. */
	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	take(bytesMin: number): Buffer {
		if (bytesMin > this.#bytes) return Buffer.allocUnsafeSlow(bytesMin);
		return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
	}

	/** The caller holds nothing of it any more. */
	give(buffer: Buffer): void {
		if (buffer.length === this.#bytes && this.#kept.length < keptMax) this.#kept.push(buffer);
	}
}
