import { JsonReader, type JsonSpan } from "./json-reader.ts";

/** Told of what lies in the outermost value, in order; what it throws is thrown by `scanJson`. */
export interface JsonVisitor {
	/** A member of the outermost object, or of an object in the outermost array. What follows it has not been looked at. */
	member(key: JsonSpan, value: JsonSpan): void;
	/** An element of the outermost array is at its end; the members of an object have been told. */
	element(isObject: boolean): void;
}

/** What a document is. */
export type JsonShape = "object" | "array" | "scalar";

/**
 * Checks that `bytes`, which must be UTF-8, are one JSON document, and tells where the members of its outermost object lie, or those of the
 * objects in its outermost array: for a caller that passes a value on as it was written. To parse and stringify it would change large numbers,
 * and JSON.stringify overflows the stack on deep nesting.
 *
 * It takes exactly what JSON.parse takes and builds nothing: nesting costs a byte of heap per level and no stack.
 * @throws JsonSyntaxError
 */
export function scanJson(bytes: Uint8Array, visitor: JsonVisitor): JsonShape {
	const reader = new JsonReader(bytes);
	const shape = outermost(reader, visitor);
	reader.end();
	return shape;
}

function outermost(reader: JsonReader, visitor: JsonVisitor): JsonShape {
	if (reader.enterObject()) {
		members(reader, visitor);
		return "object";
	}
	if (reader.enterArray()) {
		for (let more = reader.element(true); more; more = reader.element(false)) {
			const isObject = reader.enterObject();
			if (isObject) members(reader, visitor);
			else reader.skip();
			visitor.element(isObject);
		}
		return "array";
	}
	reader.skip();
	return "scalar";
}

/** An object from behind its brace. */
function members(reader: JsonReader, visitor: JsonVisitor): void {
	for (let key = reader.member(true); key !== null; key = reader.member(false)) visitor.member(key, reader.skip());
}
