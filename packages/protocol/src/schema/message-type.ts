import type { Field } from "./field.ts";

/** A field under its name: in the code `joinLeave`, in JSON `join_leave`. */
export interface NamedField extends Field<unknown> {
	readonly key: string;
	readonly jsonName: string;
	/** As JSON has it between the member before it and its value. */
	readonly jsonKey: Uint8Array;
	/** The value of the field when it is absent. */
	readonly zero: unknown;
}

/** The fields of a message, which is all that the codecs know about it. */
export interface MessageType<T extends object> {
	readonly name: string;
	/** In the order in which they are written. */
	readonly fields: readonly NamedField[];
	readonly byJsonName: ReadonlyMap<string, NamedField>;
	/** By number in Protobuf; holes are undefined. */
	readonly byNumber: readonly (NamedField | undefined)[];
	/** A message with every field at zero: "", 0, false, no bytes, an empty list or map, null for a message. */
	empty(): T;
}

/** No bytes: an absent payload. */
export const noBytes: Uint8Array = new Uint8Array(0);

/** Describes T. Every property of T must be there, each with a field of its type. */
export function messageType<T extends object>(
	name: string,
	fields: { readonly [K in keyof T]-?: Field<Exclude<T[K], null | undefined>> },
): MessageType<T> {
	const named = Object.entries<Field<unknown>>(fields).map(([key, field]) => nameField(key, field));
	const byNumber: (NamedField | undefined)[] = [];
	for (const field of named) byNumber[field.number] = field;
	const zeros = Object.fromEntries(named.map(({ key, zero }) => [key, zero])) as T;
	return {
		name,
		fields: named,
		byJsonName: new Map(named.map((field) => [field.jsonName, field])),
		byNumber,
		empty: () => ({ ...zeros }),
	};
}

function nameField(key: string, field: Field<unknown>): NamedField {
	const jsonName = key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
	return { ...field, key, jsonName, jsonKey: Buffer.from(`"${jsonName}":`), zero: zeroOf(field) };
}

const noElements: readonly never[] = Object.freeze([]);
const noEntries: ReadonlyMap<string, unknown> = new Map();

function zeroOf({ shape, kind }: Field<unknown>): unknown {
	if (shape === "list") return noElements;
	if (shape === "map") return noEntries;
	switch (kind) {
		case "string":
			return "";
		case "bool":
			return false;
		case "bytes":
			return noBytes;
		case "message":
			return null;
		default:
			return 0;
	}
}
