/**
 * Writes JSON into a growing buffer that is reused for the next message. Each payload is copied twice: in and out.
 * Not re-entrant: finish one message before you begin the next.
 */
export class JsonWriter {
	#buffer: Buffer = Buffer.allocUnsafeSlow(initialSize);
	#length = 0;
	/** The memory of the last large message until it is released; then it is available for the next one for a while. */
	#lent: Buffer | null = null;
	#spare: Buffer | null = null;
	#forgetting: NodeJS.Timeout | null = null;

	byte(byte: number): void {
		this.#reserve(1);
		this.#buffer[this.#length++] = byte;
	}

	/** Writes bytes unchanged. */
	bytes(bytes: Uint8Array): void {
		this.#reserve(bytes.length);
		this.#buffer.set(bytes, this.#length);
		this.#length += bytes.length;
	}

	/** Writes a JSON value that is given as bytes, on one line. In valid JSON, raw line breaks occur only between tokens, where they mean nothing. */
	payload(payload: Uint8Array): void {
		this.#reserve(payload.length);
		this.#length = copyWithoutLineBreaks(payload, this.#buffer, this.#length);
	}

	/** Writes a JSON string. A lone surrogate becomes an escape sequence. */
	string(value: string): void {
		this.#text(JSON.stringify(value));
	}

	integer(value: number): void {
		this.ascii(String(value));
	}

	ascii(text: string): void {
		this.#reserve(text.length);
		this.#length += this.#buffer.write(text, this.#length, "latin1");
	}

	/** Returns the written bytes and empties the writer. The caller owns them, and may release a large message. */
	finish(): Uint8Array {
		const length = this.#length;
		this.#length = 0;
		if (this.#buffer.length <= keptSize) return new Uint8Array(this.#buffer.subarray(0, length));
		// Not a copy: that would double the garbage, which is collected late.
		const message = this.#buffer.subarray(0, length);
		this.#lent = this.#buffer;
		this.#buffer = Buffer.allocUnsafeSlow(initialSize);
		return message;
	}

	/** The caller no longer uses a message from `finish`. The next large message may take its memory. */
	release(message: Uint8Array): void {
		if (this.#lent === null || message.buffer !== this.#lent.buffer) return;
		if (this.#lent.length <= spareSize) this.#spare = this.#lent;
		this.#lent = null;
		// A large message must not hold its memory forever.
		this.#forgetting ??= setTimeout(() => {
			this.#forgetting = null;
			this.#spare = null;
		}, spareMs).unref();
	}

	/** Discards the written bytes. */
	reset(): void {
		this.#length = 0;
	}

	#text(text: string): void {
		this.#reserve(3 * text.length);
		this.#length += this.#buffer.write(text, this.#length, "utf8");
	}

	#take(size: number): Buffer {
		const spare = this.#spare;
		if (spare === null || spare.length < size || size <= keptSize) return Buffer.allocUnsafeSlow(size);
		this.#spare = null;
		return spare;
	}

	#reserve(count: number): void {
		const needed = this.#length + count;
		if (needed <= this.#buffer.length) return;
		const larger = this.#take(Math.max(needed + initialSize, 2 * this.#buffer.length));
		larger.set(this.#buffer.subarray(0, this.#length));
		this.#buffer = larger;
	}
}

const initialSize = 4096;
const keptSize = 1 << 20;
const spareSize = 16 << 20;
const spareMs = 10_000;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Returns the end of the copy in `target`. Payloads without line breaks, nearly all, cost two searches and one copy. */
export function copyWithoutLineBreaks(payload: Uint8Array, target: Uint8Array, at: number): number {
	if (!payload.includes(lineFeed) && !payload.includes(carriageReturn)) {
		target.set(payload, at);
		return at + payload.length;
	}
	let end = at;
	for (const byte of payload) if (byte !== lineFeed && byte !== carriageReturn) target[end++] = byte;
	return end;
}
