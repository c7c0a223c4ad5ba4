import type { MessageType } from "./message-type.ts";

/** Types of fields, named as in Protobuf. `bytes` is a payload: in JSON any value, byte for byte. All numbers are safe integers. */
type ScalarKind = "string" | "bool" | "uint32" | "int32" | "uint64" | "int64" | "bytes";

/** One field of a message: its number in Protobuf, and its type. `V` is the type of its value. */
export interface Field<V> {
	readonly number: number;
	/** Of the value, or of each element or map value. */
	readonly kind: ScalarKind | "message";
	readonly shape: "single" | "list" | "map";
	/** For kind "message": which. A function, since messages may contain themselves. */
	readonly message: (() => MessageType<object>) | null;
	/** JSON has the field even if it is zero or empty. */
	readonly always: boolean;
	/** Only for the compiler. */
	readonly value?: V;
}

function field<V>(number: number, kind: Field<V>["kind"], shape: Field<V>["shape"], message: Field<V>["message"] = null): Field<V> {
	return { number, kind, shape, message, always: false };
}

export const string = (number: number): Field<string> => field(number, "string", "single");
export const bool = (number: number): Field<boolean> => field(number, "bool", "single");
export const uint32 = (number: number): Field<number> => field(number, "uint32", "single");
export const int32 = (number: number): Field<number> => field(number, "int32", "single");
export const uint64 = (number: number): Field<number> => field(number, "uint64", "single");
export const int64 = (number: number): Field<number> => field(number, "int64", "single");
export const bytes = (number: number): Field<Uint8Array> => field(number, "bytes", "single");
export const strings = (number: number): Field<readonly string[]> => field(number, "string", "list");
export const stringMap = (number: number): Field<ReadonlyMap<string, string>> => field(number, "string", "map");

type Type<T extends object> = () => MessageType<T>;
/** The form in which `message` is given; T is checked where the field is declared. */
const erased = <T extends object>(type: Type<T>): Field<T>["message"] => type as unknown as Field<T>["message"];

export const message = <T extends object>(number: number, type: Type<T>): Field<T> => field(number, "message", "single", erased(type));
export const messages = <T extends object>(number: number, type: Type<T>): Field<readonly T[]> =>
	field(number, "message", "list", erased(type));
export const messageMap = <T extends object>(number: number, type: Type<T>): Field<ReadonlyMap<string, T>> =>
	field(number, "message", "map", erased(type));

/** For the few fields that JSON never leaves out. */
export const always = <V>(of: Field<V>): Field<V> => ({ ...of, always: true });
