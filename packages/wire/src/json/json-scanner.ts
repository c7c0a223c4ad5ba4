import { JsonReader, type JsonSpan } from "./json-reader.ts";

/** Gets the parts of the outermost value, in order. `scanJson` rethrows its errors. */
export interface JsonVisitor {
	/** A member of the outermost object, or of an object in the outermost array. The bytes after it have not been checked yet. */
	member(key: JsonSpan, value: JsonSpan): void;
	/** The end of an element of the outermost array. For an object, `member` was called for its members before. */
	element(isObject: boolean): void;
}

/** The type of the outermost value. */
export type JsonShape = "object" | "array" | "scalar";

/**
 * Checks that `bytes`, which must be UTF-8, are one JSON document, and reports where the members of its outermost object are, or those of the
 * objects in its outermost array. With this a caller can pass a value on as it was written: parsing and stringifying would change large numbers,
 * and JSON.stringify overflows the stack on deep nesting.
 *
 * Accepts exactly what JSON.parse accepts and builds nothing: nesting costs one byte of heap per level and no stack.
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

/** Reads an object after its opening brace. */
function members(reader: JsonReader, visitor: JsonVisitor): void {
	for (let key = reader.member(true); key !== null; key = reader.member(false)) visitor.member(key, reader.skip());
}
