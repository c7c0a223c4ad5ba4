/** Collects pieces of bytes in one buffer. A single piece is not copied. */
export class GrowingBytes {
	#buffer: Buffer = empty;
	#length = 0;

	get length(): number {
		return this.#length;
	}

	/** The first `length` bytes are valid, until the next `append`. The buffer may be longer. */
	get buffer(): Buffer {
		return this.#buffer;
	}

	append(piece: Buffer): void {
		const length = this.#length + piece.length;
		if (this.#length === 0) this.#buffer = piece;
		else {
			// Doubled, so that a head which arrives byte by byte is not copied for each byte.
			if (length > this.#buffer.length) {
				const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#buffer.length));
				this.#buffer.copy(larger, 0, 0, this.#length);
				this.#buffer = larger;
			}
			piece.copy(this.#buffer, this.#length);
		}
		this.#length = length;
	}

	/** All bytes so far. */
	all(): Buffer {
		return this.#buffer.subarray(0, this.#length);
	}
}

const empty = Buffer.alloc(0);
