import { JsonReader, type JsonSpan, JsonSyntaxError, jsonText } from "@shardcast/wire";
import { ProtocolError } from "../protocol-error.ts";
import { integerRange, nestingMax } from "../schema/limits.ts";
import type { MessageType, NamedField } from "../schema/message-type.ts";

/**
 * Reads one JSON object as a message, in one pass. Unknown keys are skipped. The last of several equal keys wins, as in JSON.parse,
 * and each value must be valid. Null leaves a field at zero, but a payload may be null. Payloads are views of `bytes`.
 * @param bytes UTF-8
 * @throws ProtocolError
 */
export function decodeJsonMessage<T extends object>(type: MessageType<T>, bytes: Uint8Array): T {
	const decoder = new JsonMessageDecoder(bytes);
	try {
		return decoder.document(type);
	} catch (error) {
		if (error instanceof JsonSyntaxError) throw new ProtocolError(`not JSON: ${error.message}`);
		throw error;
	}
}

class JsonMessageDecoder {
	readonly #bytes: Uint8Array;
	readonly #reader: JsonReader;

	constructor(bytes: Uint8Array) {
		this.#bytes = bytes;
		this.#reader = new JsonReader(bytes);
	}

	document<T extends object>(type: MessageType<T>): T {
		const message = this.#message(type, 1);
		this.#reader.end();
		return message;
	}

	#message<T extends object>(type: MessageType<T>, depth: number): T {
		if (depth > nestingMax) throw new ProtocolError(`messages are nested deeper than ${nestingMax}`);
		const reader = this.#reader;
		if (!reader.enterObject()) throw this.#wrong(type.name, "an object");
		const message = type.empty() as Record<string, unknown>;
		for (let key = reader.member(true); key !== null; key = reader.member(false)) {
			const field = type.byJsonName.get(this.#text(key));
			if (field === undefined) reader.skip();
			else message[field.key] = this.#field(field, depth);
		}
		return message as T;
	}

	#field(field: NamedField, depth: number): unknown {
		if (field.shape === "single") return this.#value(field, depth);
		if (this.#reader.peek() === letterN) return this.#null(field);
		return field.shape === "list" ? this.#list(field, depth) : this.#map(field, depth);
	}

	#list(field: NamedField, depth: number): readonly unknown[] {
		const reader = this.#reader;
		if (!reader.enterArray()) throw this.#wrong(field.jsonName, "an array");
		const list: unknown[] = [];
		for (let more = reader.element(true); more; more = reader.element(false)) list.push(this.#element(field, depth));
		return list;
	}

	#map(field: NamedField, depth: number): ReadonlyMap<string, unknown> {
		const reader = this.#reader;
		if (!reader.enterObject()) throw this.#wrong(field.jsonName, "an object");
		const map = new Map<string, unknown>();
		for (let key = reader.member(true); key !== null; key = reader.member(false)) map.set(this.#text(key), this.#element(field, depth));
		return map;
	}

	#element(field: NamedField, depth: number): unknown {
		if (this.#reader.peek() === letterN) throw this.#wrong(field.jsonName, "without null inside");
		return this.#value(field, depth);
	}

	#value(field: NamedField, depth: number): unknown {
		if (field.kind === "bytes") return this.#payload();
		if (this.#reader.peek() === letterN) return this.#null(field);
		if (field.kind === "message") return this.#message(field.message!(), depth + 1);
		if (field.kind === "string") return this.#string(field);
		return field.kind === "bool" ? this.#bool(field) : this.#integer(field, integerRange[field.kind]);
	}

	#null(field: NamedField): unknown {
		this.#reader.skip();
		return field.zero;
	}

	#payload(): Uint8Array {
		const { start, end } = this.#reader.skip();
		return this.#bytes.subarray(start, end);
	}

	#string(field: NamedField): string {
		if (this.#reader.peek() !== quote) throw this.#wrong(field.jsonName, "a string");
		return this.#text(this.#reader.skip());
	}

	#bool(field: NamedField): boolean {
		const first = this.#reader.peek();
		if (first !== letterT && first !== letterF) throw this.#wrong(field.jsonName, "true or false");
		this.#reader.skip();
		return first === letterT;
	}

	#integer(field: NamedField, [least, most]: readonly [number, number]): number {
		const first = this.#reader.peek();
		if (first === undefined || !(first === minus || (first >= zero && first <= nine))) throw this.#wrong(field.jsonName, "an integer");
		const { start, end } = this.#reader.skip();
		const written = this.#written(start, end);
		const value = /^-?\d+$/.test(written) ? Number(written) : Number.NaN;
		if (!(value >= least && value <= most)) throw new ProtocolError(`${field.jsonName} must be an integer of ${least} to ${most}`);
		// Not -0.
		return value + 0;
	}

	/** A lone surrogate has no UTF-8 form: it becomes U+FFFD here, as it would on output. */
	#text(span: JsonSpan): string {
		return jsonText(this.#bytes, span).toWellFormed();
	}

	#written(start: number, end: number): string {
		return Buffer.from(this.#bytes.buffer, this.#bytes.byteOffset + start, end - start).toString("latin1");
	}

	/** The error for an unexpected value; invalid JSON is reported as such first. */
	#wrong(name: string, expected: string): ProtocolError {
		this.#reader.skip();
		return new ProtocolError(`${name} must be ${expected}`);
	}
}

const ascii = (character: string): number => character.charCodeAt(0);
const quote = ascii('"');
const minus = ascii("-");
const zero = ascii("0");
const nine = ascii("9");
const letterN = ascii("n");
const letterT = ascii("t");
const letterF = ascii("f");
