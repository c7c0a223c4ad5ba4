import type { MessageType, NamedField } from "../../src/schema/message-type.ts";

/**
 * What a message of this type says whose JSON JSON.parse has read, as `readable` shows it; null = it does not fit. The decoder's model: it
 * knows the same tables, but reads nothing itself. JSON.parse does not tell how a number was written, so it cannot refuse 1e2 and 1.0.
 */
export function modelOf<T extends object>(type: MessageType<T>, value: unknown): Record<string, unknown> | null {
	try {
		return message(type as unknown as MessageType<object>, value, 1) as Record<string, unknown>;
	} catch (error) {
		if (error === misfit) return null;
		throw error;
	}
}

const misfit = new Error("does not fit");

function message(type: MessageType<object>, value: unknown, depth: number): Record<string, unknown> {
	if (typeof value !== "object" || value === null || Array.isArray(value) || depth > 32) throw misfit;
	return Object.fromEntries(
		type.fields.map((field) => [
			field.key,
			Object.hasOwn(value, field.jsonName) ? single(field, (value as never)[field.jsonName], depth) : zero(field),
		]),
	);
}

function single(field: NamedField, value: unknown, depth: number): unknown {
	if (field.shape === "single") return scalar(field, value, depth);
	if (value === null) return zero(field);
	if (field.shape === "list") {
		if (!Array.isArray(value)) throw misfit;
		return value.map((element) => elementOf(field, element, depth));
	}
	if (typeof value !== "object" || Array.isArray(value)) throw misfit;
	return new Map(Object.entries(value as object).map(([key, element]) => [key.toWellFormed(), elementOf(field, element, depth)]));
}

function elementOf(field: NamedField, value: unknown, depth: number): unknown {
	if (value === null) throw misfit;
	return scalar(field, value, depth);
}

const types: Readonly<Record<string, string>> = { string: "string", bool: "boolean" };
const limits: Readonly<Record<string, readonly [number, number]>> = {
	uint32: [0, 2 ** 32 - 1],
	int32: [-(2 ** 31), 2 ** 31 - 1],
	uint64: [0, Number.MAX_SAFE_INTEGER],
	int64: [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER],
};

function scalar(field: NamedField, value: unknown, depth: number): unknown {
	if (field.kind === "bytes") return value;
	if (value === null) return zero(field);
	if (field.kind === "message") return message(field.message!(), value, depth + 1);
	const range = limits[field.kind];
	if (range !== undefined) {
		if (!Number.isInteger(value) || (value as number) < range[0] || (value as number) > range[1]) throw misfit;
		return (value as number) + 0;
	}
	if (typeof value !== types[field.kind]) throw misfit;
	return typeof value === "string" ? value.toWellFormed() : value;
}

function zero(field: NamedField): unknown {
	if (field.shape === "map") return new Map();
	return field.kind === "bytes" ? undefined : field.zero;
}
