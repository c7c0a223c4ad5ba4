/** Kept for each connection: while one buffer is read into, another may be offered, and a third holds the bytes behind an answer. */
const keptPerConnection = 2;

/**
 * Buffers that fetch answers are read into, used again and again. **One per source, used by one thread.** A new buffer of megabytes
 * for each answer costs more than reading it: the kernel clears its pages, and V8 collects garbage to be rid of the last one.
 *
 * Bound: `keptPerConnection` buffers of `bytes` for each. One that is never given back is the garbage collector's. Memory is taken by
 * what is written into a buffer: to be large costs nothing by itself.
 */
export class AnswerBuffers {
	readonly #bytes: number;
	readonly #kept: Buffer[] = [];
	/** Open connections that read into these buffers. */
	connections = 0;

	/** @param bytes of an ordinary answer; larger ones get a separate buffer, which is not kept. */
	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	take(bytesMin: number): Buffer {
		if (bytesMin > this.#bytes) return Buffer.allocUnsafeSlow(bytesMin);
		return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
	}

	/** The caller holds nothing of it any more. */
	give(buffer: Buffer): void {
		if (buffer.length === this.#bytes && this.#kept.length < keptPerConnection * this.connections) this.#kept.push(buffer);
	}
}
