import { isTokenByte } from "../head/head.ts";

/** The length of a body, as given in the head; `HeadParser` implements it. */
interface BodyLength {
	/** -1 = no Content-Length. */
	readonly contentLength: number;
	readonly isChunked: boolean;
}

const State = {
	fixed: 0,
	size: 1,
	extension: 2,
	sizeEnd: 3,
	data: 4,
	dataCr: 5,
	dataLf: 6,
	line: 7,
	trailerName: 8,
	trailer: 9,
	trailerLf: 10,
	lastLf: 11,
	done: 12,
} as const;
type State = (typeof State)[keyof typeof State];

/** Eight hex digits are 4 GiB. */
const sizeDigitsMax = 8;
/** Most bytes of extensions and trailers of a body. They are dropped. */
const extrasMax = 8192;

const Byte = { tab: 9, lf: 10, cr: 13, space: 32, colon: 58, semicolon: 59 } as const;

/**
 * Finds the end of one request's body and passes it on. One per request.
 *
 * A body of known length passes unchanged. A chunked body is checked and split into new chunks, without extensions and trailers: a shard would
 * read a trailer as the head of another request, one without the balancer's headers.
 */
export class RequestBody {
	#state: State;
	/** Bytes left of the body, or of the chunk. */
	#left: number;
	#digits = 0;
	#extras = 0;

	constructor({ contentLength, isChunked }: BodyLength) {
		this.#left = isChunked ? 0 : Math.max(0, contentLength);
		if (isChunked) this.#state = State.size;
		else this.#state = this.#left > 0 ? State.fixed : State.done;
	}

	get isDone(): boolean {
		return this.#state === State.done;
	}

	/**
	 * Passes on the part of `bytes` from `start` that belongs to the body.
	 * @returns where the next request begins, `bytes.length` at most; -1 when the body is malformed.
	 */
	take(bytes: Buffer, start: number, pass: (part: Buffer) => void): number {
		let at = start;
		const parts: Buffer[] = [];
		while (at < bytes.length && this.#state !== State.done) {
			if (this.#state === State.fixed || this.#state === State.data) {
				const part = bytes.subarray(at, at + this.#left);
				at += part.length;
				this.#left -= part.length;
				if (this.#state === State.fixed) pass(part);
				else parts.push(part);
				if (this.#left === 0) this.#state = this.#state === State.fixed ? State.done : State.dataCr;
				continue;
			}
			const next = this.#step(bytes[at]);
			if (next === null) return -1;
			this.#state = next;
			at++;
			if (next !== State.done) continue;
			passChunk(parts, pass);
			pass(lastChunk);
			return at;
		}
		passChunk(parts, pass);
		return at;
	}

	/** @returns the state after this byte of a chunked body's framing; null when the byte is not allowed here. */
	#step(byte: number): State | null {
		switch (this.#state) {
			case State.size: {
				const digit = hexDigit(byte);
				if (digit >= 0) {
					this.#left = this.#left * 16 + digit;
					return ++this.#digits <= sizeDigitsMax ? State.size : null;
				}
				if (this.#digits === 0) return null;
				if (byte === Byte.cr) return State.sizeEnd;
				return byte === Byte.semicolon ? State.extension : null;
			}
			case State.extension:
				if (byte === Byte.cr) return State.sizeEnd;
				return this.#isExtra(byte) ? State.extension : null;
			case State.sizeEnd:
				if (byte !== Byte.lf) return null;
				this.#digits = 0;
				return this.#left === 0 ? State.line : State.data;
			case State.dataCr:
				return byte === Byte.cr ? State.dataLf : null;
			case State.dataLf:
				return byte === Byte.lf ? State.size : null;
			case State.line:
				if (byte === Byte.cr) return State.lastLf;
				return isTokenByte(byte) && this.#isExtra(byte) ? State.trailerName : null;
			case State.trailerName:
				if (byte !== Byte.colon && !isTokenByte(byte)) return null;
				return this.#isExtra(byte) ? (byte === Byte.colon ? State.trailer : State.trailerName) : null;
			case State.trailer:
				if (byte === Byte.cr) return State.trailerLf;
				return this.#isExtra(byte) ? State.trailer : null;
			case State.trailerLf:
				return byte === Byte.lf ? State.line : null;
			default:
				return byte === Byte.lf ? State.done : null;
		}
	}

	#isExtra(byte: number): boolean {
		const isText = byte === Byte.tab || (byte >= Byte.space && byte !== 0x7f);
		return isText && ++this.#extras <= extrasMax;
	}
}

/** Combines what arrived together into one chunk: a client may send chunks of one byte, and each write costs. */
function passChunk(parts: readonly Buffer[], pass: (part: Buffer) => void): void {
	if (parts.length === 0) return;
	const data = parts.length === 1 ? parts[0] : Buffer.concat(parts);
	pass(Buffer.from(`${data.length.toString(16)}\r\n`, "latin1"));
	pass(data);
	pass(lineEnd);
}

const lineEnd = Buffer.from("\r\n", "latin1");
const lastChunk = Buffer.from("0\r\n\r\n", "latin1");

function hexDigit(byte: number): number {
	if (byte >= 48 && byte <= 57) return byte - 48;
	const letter = byte | 0x20;
	return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}
