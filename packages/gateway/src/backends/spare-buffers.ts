/** Bytes of a spare buffer: as many as are read from a socket at once, and as are gathered of small frames for one write. */
export const spareBufferBytes = 64 * 1024;

/**
 * Buffers for writes that are under way, and for what was read and has to wait for the next turn of the event loop, shared by all connections of a
 * process: an idle connection has none. One owner, the event loop. Bound: two per connection, of which `keptMax` of all are kept for the next ones.
 */
export class SpareBuffers {
	readonly #keptMax: number;
	readonly #kept: Buffer[] = [];

	constructor(keptMax = 32) {
		this.#keptMax = keptMax;
	}

	take(): Buffer {
		return this.#kept.pop() ?? Buffer.allocUnsafeSlow(spareBufferBytes);
	}

	give(buffer: Buffer): void {
		if (this.#kept.length < this.#keptMax) this.#kept.push(buffer);
	}
}
