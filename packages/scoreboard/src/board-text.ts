const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** i32 words; the text follows, in UTF-8. `sequence` is odd while the text is being written. */
const Word = { sequence: 0, length: 1 } as const;
const headBytes = 8;
/** Most attempts to read. Writing takes microseconds. If a writer dies while writing, the text stays unreadable until its successor writes. */
const attemptsMax = 8;

/**
 * A short text in shared memory. **One writer, any number of readers**, who get a complete text or none. A text that is too long is truncated at
 * a character. Reads and writes allocate, so do not use it on hot paths.
 */
export class BoardText {
	readonly #words: Int32Array;
	readonly #bytes: Uint8Array;

	/** @param bytes size, including the head. */
	constructor(buffer: ArrayBufferLike, byteOffset: number, bytes: number) {
		this.#words = new Int32Array(buffer, byteOffset, headBytes >> 2);
		this.#bytes = new Uint8Array(buffer, byteOffset + headBytes, bytes - headBytes);
	}

	/** "" if none was written, or while one is being written. */
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
		// Into private memory first: TextEncoder does not write to shared memory.
		const whole = new Uint8Array(this.#bytes.length);
		const { written } = encoder.encodeInto(text, whole);
		const sequence = Atomics.load(this.#words, Word.sequence) | 1;
		Atomics.store(this.#words, Word.sequence, sequence);
		this.#bytes.set(whole.subarray(0, written));
		Atomics.store(this.#words, Word.length, written);
		Atomics.store(this.#words, Word.sequence, (sequence + 1) | 0);
	}
}
