/** Where something lies in a document: from its first byte to behind its last. */
export interface JsonSpan {
	readonly start: number;
	readonly end: number;
}

/** Told of what lies in the outermost value, in order; what it throws is thrown by `scanJson`. */
export interface JsonVisitor {
	/** A member of the outermost object, or of an object in the outermost array. What follows it has not been looked at. */
	member(key: JsonSpan, value: JsonSpan): void;
	/** An element of the outermost array is at its end; the members of an object have been told. */
	element(isObject: boolean): void;
}

/** What a document is. */
export type JsonShape = "object" | "array" | "scalar";

/** The bytes are not JSON; the message says what is wrong and at which byte. */
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

/** What each byte may be part of: white space, a string without escapes, the second half of an escape, its four digits, a number. */
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
 * Checks that `bytes`, which must be UTF-8, are one JSON document, and tells where the members of its outermost object lie, or those of the
 * objects in its outermost array: for a caller that passes a value on as it was written. To parse and stringify it would change large numbers,
 * and JSON.stringify overflows the stack on deep nesting.
 *
 * It takes exactly what JSON.parse takes and builds nothing: nesting costs a byte of heap per level and no stack.
 * @throws JsonSyntaxError
 */
export function scanJson(bytes: Uint8Array, visitor: JsonVisitor): JsonShape {
	return new Scan(bytes).document(visitor);
}

/** One pass over one document. Every method stops behind what it has read. */
class Scan {
	readonly #bytes: Uint8Array;
	#at = 0;
	/** The byte that closes each container that is open, outermost first. */
	#closers = new Uint8Array(64);

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
	}

	document(visitor: JsonVisitor): JsonShape {
		this.#run(Class.space);
		const shape = this.#outermost(visitor);
		this.#run(Class.space);
		if (this.#at < this.#bytes.length) throw this.#unexpected();
		return shape;
	}

	#outermost(visitor: JsonVisitor): JsonShape {
		if (this.#take(openObject)) {
			this.#members(visitor);
			return "object";
		}
		if (this.#take(openArray)) {
			this.#elements(visitor);
			return "array";
		}
		this.#value();
		return "scalar";
	}

	/** The outermost array from behind its bracket. */
	#elements(visitor: JsonVisitor): void {
		this.#run(Class.space);
		if (this.#take(closeArray)) return;
		for (;;) {
			const isObject = this.#take(openObject);
			if (isObject) this.#members(visitor);
			else this.#value();
			visitor.element(isObject);
			this.#run(Class.space);
			if (this.#take(closeArray)) return;
			this.#next();
		}
	}

	/** An object from behind its brace. */
	#members(visitor: JsonVisitor): void {
		this.#run(Class.space);
		if (this.#take(closeObject)) return;
		for (;;) {
			const key = this.#key();
			const start = this.#at;
			this.#value();
			visitor.member(key, { start, end: this.#at });
			this.#run(Class.space);
			if (this.#take(closeObject)) return;
			this.#next();
		}
	}

	/** A value of any kind, however deep it is. */
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
			// A value is at its end, or a container that has just been opened: so are those that end with it.
			for (;;) {
				if (depth === 0) return;
				this.#run(Class.space);
				if (!this.#take(this.#closers[depth - 1])) break;
				depth--;
			}
			this.#next();
			if (this.#closers[depth - 1] === closeObject) this.#key();
		}
	}

	/** The byte that closes the container that begins here; 0 when none does. */
	#opened(): number {
		if (this.#take(openArray)) return closeArray;
		return this.#take(openObject) ? closeObject : 0;
	}

	#push(depth: number, closer: number): void {
		if (depth === this.#closers.length) {
			const larger = new Uint8Array(2 * depth);
			larger.set(this.#closers);
			this.#closers = larger;
		}
		this.#closers[depth] = closer;
	}

	/** A name with its colon, up to where its value begins. */
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

	/** As many bytes of the class as there are. */
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
