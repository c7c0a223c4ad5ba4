/** Bytes of a buffer in which small frames are gathered for one write. */
export const writeBufferBytes = 64 * 1024;

/**
 * Buffers for writes that are under way, shared by all connections of a process: an idle connection has none. One owner, the event loop. Bound: one
 * per connection that writes, of which `keptMax` are kept for the next ones.
 */
export class WriteBuffers {
	readonly #keptMax: number;
	readonly #kept: Buffer[] = [];

	constructor(keptMax = 16) {
		this.#keptMax = keptMax;
	}

	take(): Buffer {
		return this.#kept.pop() ?? Buffer.allocUnsafeSlow(writeBufferBytes);
	}

	give(buffer: Buffer): void {
		if (this.#kept.length < this.#keptMax) this.#kept.push(buffer);
	}
}
