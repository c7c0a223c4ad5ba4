const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** i32 words; the text follows, in UTF-8. `sequence` is odd while it is being written. */
const Word = { sequence: 0, length: 1 } as const;
const headBytes = 8;
/** A writer takes microseconds. One that has died half-way leaves the text unreadable until its successor writes. */
const attemptsMax = 8;

/**
 * A short text in shared memory. **One writer; anybody reads**, and gets a whole text or none. What is too long is cut off at a
 * character. Not for hot paths: each reading and writing allocates.
 */
export class BoardText {
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;

	/** @param bytes of all, the head included. */
	constructor(buffer: ArrayBufferLike, byteOffset: number, bytes: number) {
		this.#words = new Int32Array(buffer, byteOffset, headBytes >> 2);
		this.#bytes = new Uint8Array(buffer, byteOffset + headBytes, bytes - headBytes);
	}

	/** "" where none was written, or while one is being written. */
	get text(): string {
		for (let attempt = 0; attempt < attemptsMax; attempt++) {
			const before = Atomics.load(this.#words, Word.sequence);
			const length = Math.min(Atomics.load(this.#words, Word.length), this.#bytes.length);
			const copy = new Uint8Array(this.#bytes.subarray(0, length));
			if ((before & 1) === 0 && Atomics.load(this.#words, Word.sequence) === before) return decoder.decode(copy);
		}
		return "";
	}

	set text(text: string) {
		// Into private memory first: an encoder does not write into shared memory.
		const whole = new Uint8Array(this.#bytes.length);
		const { written } = encoder.encodeInto(text, whole);
		const sequence = Atomics.load(this.#words, Word.sequence) | 1;
		Atomics.store(this.#words, Word.sequence, sequence);
		this.#bytes.set(whole.subarray(0, written));
		Atomics.store(this.#words, Word.length, written);
		Atomics.store(this.#words, Word.sequence, (sequence + 1) | 0);
	}
}
