/** Bytes that come in pieces, in one buffer. One piece alone is not copied. */
export class GrowingBytes {
	#buffer: Buffer = empty;
	#length = 0;

	get length(): number {
		return this.#length;
	}

	/** Holds `length` bytes; more may follow them. Valid until the next `append`. */
	get buffer(): Buffer {
		return this.#buffer;
	}

	append(piece: Buffer): void {
		const length = this.#length + piece.length;
		if (this.#length === 0) this.#buffer = piece;
		else {
			// Doubled, so that a head which comes byte by byte is not copied as often as it has bytes.
			if (length > this.#buffer.length) {
				const larger = Buffer.allocUnsafe(Math.max(length, 2 * this.#buffer.length));
				this.#buffer.copy(larger, 0, 0, this.#length);
				this.#buffer = larger;
			}
			piece.copy(this.#buffer, this.#length);
		}
		this.#length = length;
	}

	/** All that has come. */
	all(): Buffer {
		return this.#buffer.subarray(0, this.#length);
	}
}

const empty = Buffer.alloc(0);
