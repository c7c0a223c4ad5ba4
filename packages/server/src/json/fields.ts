import type { ChannelOptions } from "@shardcast/config";
import { asJson, JsonSyntaxError, RecordKind, scanJson } from "@shardcast/wire";

/** A JSON object from outside, such as the claims of a token or the body of a request, whose fields have not been checked yet. */
export type Fields = Readonly<Record<string, unknown>>;

/** The most bytes of info about a client. Every publication of the client carries it, so it must be short. */
export const infoBytesMax = 16_384;

/** A field has an invalid type or value; the message names it. */
export class FieldError extends Error {}

/**
 * The JSON object in the body of a request. Null = the body is `null`.
 * @throws SyntaxError that says where the body is not JSON; FieldError when it is not an object.
 */
export function bodyFields(body: Uint8Array): Fields | null {
	return tableField({ body: bodyValue(body) }, "body");
}

function bodyValue(body: Uint8Array): unknown {
	try {
		return JSON.parse(Buffer.from(body).toString());
	} catch (error) {
		throw new SyntaxError(`the body is not JSON: ${whyNotJson(body) ?? (error as Error).message}`);
	}
}

/** What is wrong, and at which byte; the message of JSON.parse differs between versions of Node, and repeats the text. Null = nothing. */
function whyNotJson(bytes: Uint8Array): string | null {
	try {
		scanJson(bytes, { member: () => {}, element: () => {} });
		return null;
	} catch (error) {
		if (error instanceof JsonSyntaxError) return error.message;
		throw error;
	}
}

export function textField(fields: Fields, name: string): string {
	const value = fields[name] ?? "";
	if (typeof value !== "string") throw new FieldError(`${name} is not a string`);
	return value;
}

/** @throws FieldError when it is missing or "". */
export function requiredField(fields: Fields, name: string): string {
	const value = textField(fields, name);
	if (value === "") throw new FieldError(`${name} is missing`);
	return value;
}

/** Absent = false. */
export function flagField(fields: Fields, name: string): boolean {
	const value = fields[name] ?? false;
	if (typeof value !== "boolean") throw new FieldError(`${name} is neither true nor false`);
	return value;
}

/** Null = absent. */
export function tableField(fields: Fields, name: string): Fields | null {
	const value = fields[name] ?? null;
	if (value !== null && (typeof value !== "object" || Array.isArray(value))) throw new FieldError(`${name} is not an object`);
	return value as Fields | null;
}

/**
 * A field with JSON. The field of the same name with the prefix `b64` takes precedence and may contain any bytes. Null = neither is present.
 * Bytes that are not JSON become a JSON string, because clients of the JSON protocol get the value as it is.
 */
export function payloadField(fields: Fields, name: string): Uint8Array | null {
	const bytes = bytesField(fields, name);
	if (bytes !== null) return asJson(bytes, RecordKind.binary);
	const value = fields[name] ?? null;
	return value === null ? null : jsonOf(name, value);
}

/** The decoded value of the field with the prefix `b64`. Null = absent or "". */
export function bytesField(fields: Fields, name: string): Uint8Array | null {
	const base64 = textField(fields, `b64${name}`);
	if (!/^[A-Za-z0-9+/]*={0,2}$/.test(base64)) throw new FieldError(`b64${name} is not Base64`);
	return base64 === "" ? null : Buffer.from(base64, "base64");
}

/** JSON.parse accepts any nesting, but JSON.stringify overflows the stack. */
function jsonOf(name: string, value: unknown): Uint8Array {
	try {
		return Buffer.from(JSON.stringify(value));
	} catch (error) {
		if (error instanceof RangeError) throw new FieldError(`${name} is nested too deeply`);
		throw error;
	}
}

/** See `payloadField`. */
export function infoField(fields: Fields): Uint8Array | null {
	const info = payloadField(fields, "info");
	if (info !== null && info.length > infoBytesMax) throw new FieldError(`info has more than ${infoBytesMax} bytes`);
	return info;
}

/** The channel options that a token or a backend overrides for one client. */
export type Override = Partial<Pick<ChannelOptions, (typeof overridden)[keyof typeof overridden]>>;
const overridden = {
	presence: "presence",
	join_leave: "joinLeave",
	force_push_join_leave: "forcePushJoinLeave",
	force_recovery: "forceRecovery",
	force_positioning: "forcePositioning",
} as const satisfies Readonly<Record<string, keyof ChannelOptions>>;

export function overrideField(fields: Fields): Override {
	const override = tableField(fields, "override") ?? {};
	return Object.fromEntries(
		Object.entries(overridden).flatMap(([name, option]) => {
			const table = tableField(override, name);
			if (table === null) return [];
			const value = table.value ?? false;
			if (typeof value !== "boolean") throw new FieldError(`override.${name}.value is neither true nor false`);
			return [[option, value]];
		}),
	);
}
