/** Free buffers kept per connection. One buffer receives, one may hold the answer being processed, and one the bytes after an answer. */
const keptPerConnection = 2;

/**
 * A pool of buffers for fetch answers. **One per source, used by one thread.** Allocating megabytes per answer would cost more than
 * reading it: the kernel clears the pages, and V8 has to collect the garbage.
 *
 * Bound: `keptPerConnection` free buffers of `bytes` per connection. A buffer that is never returned is garbage collected. Only the
 * written part of a buffer uses memory.
 */
export class AnswerBuffers {
	readonly #bytes: number;
	readonly #kept: Buffer[] = [];
	/** Open connections that read into these buffers. */
	connections = 0;

	/** @param bytes of a normal answer. Larger ones get a separate buffer, which is not kept. */
	constructor(bytes: number) {
		this.#bytes = bytes;
	}

	take(bytesMin: number): Buffer {
		if (bytesMin > this.#bytes) return Buffer.allocUnsafeSlow(bytesMin);
		return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.#bytes);
	}

	/** Returns a buffer. The caller must not use it afterwards. */
	give(buffer: Buffer): void {
		if (buffer.length === this.#bytes && this.#kept.length < keptPerConnection * this.connections) this.#kept.push(buffer);
	}
}
