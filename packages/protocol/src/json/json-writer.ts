/**
 * Writes JSON into a buffer that grows and is used again for the next message: one copy of a payload on the way in, one on the way out.
 * Not re-entrant: finish one message before the next is begun.
 */
export class JsonWriter {
	#buffer: Buffer = Buffer.allocUnsafeSlow(initialSize);
	#length = 0;

	byte(byte: number): void {
		this.#reserve(1);
		this.#buffer[this.#length++] = byte;
	}

	/** Bytes as they are. */
	bytes(bytes: Uint8Array): void {
		this.#reserve(bytes.length);
		this.#buffer.set(bytes, this.#length);
		this.#length += bytes.length;
	}

	/** A JSON value that is there in bytes: one line of it. In valid JSON a raw line break can only stand between tokens, where it means nothing. */
	payload(payload: Uint8Array): void {
		this.#reserve(payload.length);
		this.#length = copyWithoutLineBreaks(payload, this.#buffer, this.#length);
	}

	/** A JSON string. A lone surrogate is written as an escape. */
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

	/** A copy of what has been written, with which the writer is empty again. */
	finish(): Uint8Array {
		const message = new Uint8Array(this.#buffer.subarray(0, this.#length));
		this.#length = 0;
		// One large message does not hold its memory for ever.
		if (this.#buffer.length > keptSize) this.#buffer = Buffer.allocUnsafeSlow(initialSize);
		return message;
	}

	/** Forgets what has been written. */
	reset(): void {
		this.#length = 0;
	}

	#text(text: string): void {
		this.#reserve(3 * text.length);
		this.#length += this.#buffer.write(text, this.#length, "utf8");
	}

	#reserve(count: number): void {
		const needed = this.#length + count;
		if (needed <= this.#buffer.length) return;
		const larger = Buffer.allocUnsafeSlow(Math.max(needed, 2 * this.#buffer.length));
		larger.set(this.#buffer.subarray(0, this.#length));
		this.#buffer = larger;
	}
}

const initialSize = 4096;
const keptSize = 1 << 20;
const lineFeed = 0x0a;
const carriageReturn = 0x0d;

/** Returns where in `target` the copy ends. Payloads without line breaks, nearly all, cost two searches and one copy. */
export function copyWithoutLineBreaks(payload: Uint8Array, target: Uint8Array, at: number): number {
	if (!payload.includes(lineFeed) && !payload.includes(carriageReturn)) {
		target.set(payload, at);
		return at + payload.length;
	}
	let end = at;
	for (const byte of payload) if (byte !== lineFeed && byte !== carriageReturn) target[end++] = byte;
	return end;
}
