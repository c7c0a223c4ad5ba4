import { arbitraryText } from "@shardcast/testkit/arbitraries";
import fc from "fast-check";
import { integerRange } from "../src/schema/limits.ts";
import type { MessageType, NamedField } from "../src/schema/message-type.ts";

/** Messages of a type with any of its fields, messages within messages included; payloads are JSON. */
export function messageOf<T extends object>(type: MessageType<T>, depth = 0): fc.Arbitrary<T> {
	const fields = type.fields.filter(({ kind }) => depth < 4 || kind !== "message");
	const record = Object.fromEntries(fields.map((field) => [field.key, fieldOf(field, depth)]));
	return fc.record(record, { requiredKeys: [] }).map((message) => ({ ...type.empty(), ...message }) as T);
}

/** A message with every field set, down to the fifth level. */
export function fullMessage<T extends object>(type: MessageType<T>, depth = 0): T {
	const fields = type.fields.filter(({ kind }) => depth < 5 || kind !== "message");
	return { ...type.empty(), ...Object.fromEntries(fields.map((field) => [field.key, fullField(field, depth)])) } as T;
}

function fullField(field: NamedField, depth: number): unknown {
	const value = fullValue(field, depth);
	if (field.shape === "list") return [value, value];
	return field.shape === "map" ? new Map([[`${field.key} é`, value]]) : value;
}

function fullValue(field: NamedField, depth: number): unknown {
	switch (field.kind) {
		case "message":
			return fullMessage(field.message!(), depth + 1);
		case "string":
			return `${field.key} é`;
		case "bytes":
			return new Uint8Array(Buffer.from(JSON.stringify(field.key)));
		case "bool":
			return true;
		default:
			return integerRange[field.kind][1] - field.number;
	}
}

function fieldOf(field: NamedField, depth: number): fc.Arbitrary<unknown> {
	const one = elementOf(field, depth);
	if (field.shape === "list") return fc.array(one, { maxLength: 2 });
	if (field.shape === "map")
		return fc.uniqueArray(fc.tuple(text, one), { maxLength: 2, selector: ([key]) => key }).map((entries) => new Map(entries));
	return one;
}

const text = fc.oneof(arbitraryText(), fc.constantFrom("", "chat:42", "__proto__", "constructor"));
const json = fc.jsonValue().map((value) => new Uint8Array(Buffer.from(JSON.stringify(value))));

function elementOf(field: NamedField, depth: number): fc.Arbitrary<unknown> {
	switch (field.kind) {
		case "message":
			return depth === 0 && field.shape === "single"
				? fc.option(messageOf(field.message!(), 1), { freq: 2, nil: null })
				: messageOf(field.message!(), depth + 1);
		case "string":
			return text;
		case "bytes":
			return json;
		case "bool":
			return fc.boolean();
		default:
			return integers(integerRange[field.kind]);
	}
}

function integers([least, most]: readonly [number, number]): fc.Arbitrary<number> {
	return fc.oneof(
		fc.integer({ min: Math.max(least, -1000), max: 1000 }),
		fc.constantFrom(least, most, 127, 128, 16_384),
		fc.integer({ min: least, max: most }),
	);
}
