import { EncodedElements } from "../schema/encoded-elements.ts";
import type { MessageType, NamedField } from "../schema/message-type.ts";
import { isZero } from "../schema/zero.ts";
import { JsonWriter } from "./json-writer.ts";

/**
 * One message as one line of JSON, without a line feed. Fields with a zero value are omitted, except those that the protocol always sends.
 * Payloads are written byte for byte; only line breaks between their tokens are removed.
 */
export function encodeJsonMessage<T extends object>(type: MessageType<T>, message: Partial<T>): Uint8Array {
	try {
		writeMessage(type as unknown as MessageType<object>, message);
		return writer.finish();
	} finally {
		// After a failure, the next message must not start with a part of this one.
		writer.reset();
	}
}

/** Shared by all messages, because JavaScript finishes one before the next. */
const writer = new JsonWriter();

/** See `JsonWriter.release`. */
export function releaseJsonMessage(message: Uint8Array): void {
	writer.release(message);
}

function writeMessage(type: MessageType<object>, message: object): void {
	writer.byte(openObject);
	let first = true;
	for (const field of type.fields) {
		const value = (message as Readonly<Record<string, unknown>>)[field.key];
		if (!field.always && isZero(value)) continue;
		if (!first) writer.byte(comma);
		first = false;
		writer.bytes(field.jsonKey);
		writeField(field, value ?? field.zero);
	}
	writer.byte(closeObject);
}

function writeField(field: NamedField, value: unknown): void {
	if (field.shape === "list") writeList(field, value as readonly unknown[]);
	else if (field.shape === "map") writeMap(field, value as ReadonlyMap<string, unknown>);
	else writeValue(field, value);
}

function writeList(field: NamedField, list: readonly unknown[]): void {
	writer.byte(openArray);
	list.forEach((value, index) => {
		if (index > 0) writer.byte(comma);
		if (value instanceof EncodedElements) writer.bytes(value.bytes);
		else writeValue(field, value);
	});
	writer.byte(closeArray);
}

function writeMap(field: NamedField, map: ReadonlyMap<string, unknown>): void {
	writer.byte(openObject);
	let first = true;
	for (const [key, value] of map) {
		if (!first) writer.byte(comma);
		first = false;
		writer.string(key);
		writer.byte(colon);
		writeValue(field, value);
	}
	writer.byte(closeObject);
}

function writeValue(field: NamedField, value: unknown): void {
	if (field.kind === "bytes") writer.payload(value as Uint8Array);
	else if (field.kind === "string") writer.string(value as string);
	else if (field.kind === "bool") writer.ascii(value ? "true" : "false");
	else if (field.kind === "message") writeMessage(field.message!(), value as object);
	else writer.integer(value as number);
}

const ascii = (character: string): number => character.charCodeAt(0);
const comma = ascii(",");
const colon = ascii(":");
const openArray = ascii("[");
const closeArray = ascii("]");
const openObject = ascii("{");
const closeObject = ascii("}");
