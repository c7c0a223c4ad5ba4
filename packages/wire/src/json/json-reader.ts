/** A part of a document, from its first byte up to, but not including, `end`. */
export interface JsonSpan {
	readonly start: number;
	readonly end: number;
}

/** Decodes a JSON string, quotes included, that a `JsonReader` has read. */
export function jsonText(bytes: Uint8Array, { start, end }: JsonSpan): string {
	const written = Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString();
	return written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1);
}

/** The bytes are not valid JSON. The message says what is wrong and at which byte. */
export class JsonSyntaxError extends Error {
	override readonly name = "JsonSyntaxError";
}

const ascii = (character: string): number => character.charCodeAt(0);
const quote = ascii('"');
const comma = ascii(",");
const colon = ascii(":");
const backslash = ascii("\\");
const minus = ascii("-");
const plus = ascii("+");
const dot = ascii(".");
const zero = ascii("0");
const lowerE = ascii("e");
const upperE = ascii("E");
const letterU = ascii("u");
const openArray = ascii("[");
const closeArray = ascii("]");
const openObject = ascii("{");
const closeObject = ascii("}");

/** Classes of bytes: white space, part of a string without escapes, second byte of an escape, hexadecimal digit of an escape, part of a number. */
const Class = { space: 1, plain: 2, escape: 4, hex: 8, digit: 16 } as const;
const classes = new Uint8Array(256);
for (let byte = 0; byte < 256; byte++) {
	const character = String.fromCharCode(byte);
	if (" \t\n\r".includes(character)) classes[byte] |= Class.space;
	if (byte >= 0x20 && byte !== quote && byte !== backslash) classes[byte] |= Class.plain;
	if ('"\\/bfnrt'.includes(character)) classes[byte] |= Class.escape;
	if (/[\da-f]/i.test(character)) classes[byte] |= Class.hex;
	if (/\d/.test(character)) classes[byte] |= Class.digit;
}

const words = ["true", "false", "null"].map((word) => Buffer.from(word));

/**
 * A pull parser for one JSON document. The caller enters objects and arrays, reads the texts that it needs and skips other values. Each method
 * stops after what it has read, and throws JsonSyntaxError. The parser accepts exactly what JSON.parse accepts, and builds only what is
 * requested: a skipped value costs one byte of heap per level of nesting and no stack.
 */
export class JsonReader {
	readonly #bytes: Uint8Array;
	#at = 0;
	/** While a value is skipped: the closing byte of each open container, outermost first. */
	#closers: Uint8Array | null = null;

	/** @param bytes one document in UTF-8. White space around it is skipped. */
	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
		this.#run(Class.space);
	}

	/** The first byte of the next value; undefined at the end. */
	peek(): number | undefined {
		return this.#bytes[this.#at];
	}

	/** Enters the object that starts here; false if the value is not an object. Call `member(true)` next. */
	enterObject(): boolean {
		return this.#take(openObject);
	}

	/** Enters the array that starts here; false if the value is not an array. Call `element(true)` next. */
	enterArray(): boolean {
		return this.#take(openArray);
	}

	/** Moves to the value of the object's first or next member and returns the key; null at the end of the object, which is then read. */
	member(first: boolean): JsonSpan | null {
		return this.#hasMore(first, closeObject) ? this.#key() : null;
	}

	/** Moves to the array's first or next element; false at the end of the array, which is then read. */
	element(first: boolean): boolean {
		return this.#hasMore(first, closeArray);
	}

	/** Skips any value, at any depth. */
	skip(): JsonSpan {
		const start = this.#at;
		this.#value();
		return { start, end: this.#at };
	}

	/** Checks that only white space is left. */
	end(): void {
		this.#run(Class.space);
		if (this.#at < this.#bytes.length) throw this.#unexpected();
	}

	#hasMore(first: boolean, closer: number): boolean {
		this.#run(Class.space);
		if (this.#take(closer)) return false;
		if (!first) this.#next();
		return true;
	}

	#value(): void {
		let depth = 0;
		for (;;) {
			const closer = this.#opened();
			if (closer === 0) this.#scalar();
			else {
				this.#push(depth++, closer);
				this.#run(Class.space);
				if (this.#bytes[this.#at] !== closer) {
					if (closer === closeObject) this.#key();
					continue;
				}
			}
			// A value has ended, or a container has just been opened. Close all containers that end here.
			for (;;) {
				if (depth === 0) return;
				this.#run(Class.space);
				if (!this.#take(this.#closers![depth - 1])) break;
				depth--;
			}
			this.#next();
			if (this.#closers![depth - 1] === closeObject) this.#key();
		}
	}

	/** The closing byte of the container that starts here; 0 if none does. */
	#opened(): number {
		if (this.#take(openArray)) return closeArray;
		return this.#take(openObject) ? closeObject : 0;
	}

	#push(depth: number, closer: number): void {
		let closers = this.#closers;
		if (closers === null || depth === closers.length) {
			const larger = new Uint8Array(closers === null ? 64 : 2 * depth);
			if (closers !== null) larger.set(closers);
			closers = this.#closers = larger;
		}
		closers[depth] = closer;
	}

	/** Reads a key and its colon, up to the start of the value. */
	#key(): JsonSpan {
		const start = this.#at;
		this.#string();
		const end = this.#at;
		this.#run(Class.space);
		this.#expect(colon);
		this.#run(Class.space);
		return { start, end };
	}

	#next(): void {
		this.#expect(comma);
		this.#run(Class.space);
	}

	#scalar(): void {
		const first = this.#bytes[this.#at];
		if (first === quote) this.#string();
		else if (first === minus || classes[first] & Class.digit) this.#number();
		else this.#word();
	}

	#string(): void {
		this.#expect(quote);
		for (;;) {
			this.#run(Class.plain);
			if (this.#take(quote)) return;
			this.#expect(backslash);
			if (this.#take(letterU)) for (let digit = 0; digit < 4; digit++) this.#one(Class.hex);
			else this.#one(Class.escape);
		}
	}

	#number(): void {
		this.#take(minus);
		if (!this.#take(zero)) this.#some(Class.digit);
		if (this.#take(dot)) this.#some(Class.digit);
		const byte = this.#bytes[this.#at];
		if (byte !== lowerE && byte !== upperE) return;
		this.#at++;
		if (!this.#take(minus)) this.#take(plus);
		this.#some(Class.digit);
	}

	#word(): void {
		const word = words.find(([first]) => first === this.#bytes[this.#at]);
		if (word === undefined) throw this.#unexpected();
		for (const byte of word) this.#expect(byte);
	}

	/** Skips all bytes of the class. */
	#run(kind: number): void {
		const bytes = this.#bytes;
		let at = this.#at;
		while (at < bytes.length && classes[bytes[at]] & kind) at++;
		this.#at = at;
	}

	#some(kind: number): void {
		this.#one(kind);
		this.#run(kind);
	}

	#one(kind: number): void {
		if (this.#at >= this.#bytes.length || !(classes[this.#bytes[this.#at]] & kind)) throw this.#unexpected();
		this.#at++;
	}

	#take(byte: number): boolean {
		if (this.#bytes[this.#at] !== byte) return false;
		this.#at++;
		return true;
	}

	#expect(byte: number): void {
		if (!this.#take(byte)) throw this.#unexpected();
	}

	#unexpected(): JsonSyntaxError {
		const bytes = this.#bytes;
		const at = this.#at;
		if (bytes.length === 0) return new JsonSyntaxError("it is empty");
		if (at >= bytes.length) return new JsonSyntaxError(`it ends too early, after ${at} bytes`);
		const byte = bytes[at];
		const shown = byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `0x${byte.toString(16).padStart(2, "0")}`;
		return new JsonSyntaxError(`${shown} is not expected at byte ${at}`);
	}
}

/** Whether the bytes, which are UTF-8, are one JSON value, or one object. */
export function isJson(bytes: Uint8Array, isObject = false): boolean {
	try {
		const reader = new JsonReader(bytes);
		if (isObject && reader.peek() !== openObject) return false;
		reader.skip();
		reader.end();
		return true;
	} catch (error) {
		if (error instanceof JsonSyntaxError) return false;
		throw error;
	}
}
