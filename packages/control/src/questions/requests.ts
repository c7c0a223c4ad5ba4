import type { RevocationChange } from "../revocations/revocation-file.ts";
import { revocationKinds } from "../revocations/revocations.ts";
import type { Page } from "./inventory-questions.ts";
import type { PresenceRequest } from "./presence-questions.ts";
import type { DisconnectUser, RefreshUser, SubscribeUser, UnsubscribeUser, UserTarget } from "./user-questions.ts";

/**
 * Requests that another node has sent, checked: what comes through Redis may have been written by anybody who can write to it. Each function throws an
 * Error that names the field.
 */

type Fields = Readonly<Record<string, unknown>>;

const nameMax = 4096;
const jsonMax = 262_144;
const listMax = 1000;

export function presenceRequest(data: unknown): PresenceRequest {
	return { channel: text(fieldsOf(data), "channel", nameMax) };
}

export function channelCountsRequest(data: unknown): { readonly patterns: readonly string[] } & Page {
	const fields = fieldsOf(data);
	return { patterns: texts(fields, "patterns"), ...pageIn(fields) };
}

export function connectionsRequest(data: unknown): { readonly user: string } & Page {
	const fields = fieldsOf(data);
	return { user: text(fields, "user", nameMax), ...pageIn(fields) };
}

export function nothing(data: unknown): null {
	if (data !== null) throw new Error("the request is not null");
	return null;
}

export function subscribeRequest(data: unknown): SubscribeUser {
	const fields = fieldsOf(data);
	const { recoverSince, override } = fields;
	const since = recoverSince === undefined ? null : fieldsOf(recoverSince, "recoverSince");
	if (override !== undefined && Object.values(fieldsOf(override, "override")).some((flag) => typeof flag !== "boolean"))
		throw new Error("override is not a table of flags");
	return {
		...targetIn(fields),
		channel: text(fields, "channel", nameMax),
		...optional(fields, "info", json),
		...optional(fields, "data", json),
		...optional(fields, "expireAt", number),
		...(since !== null && { recoverSince: { offset: number(since, "offset"), epoch: text(since, "epoch", nameMax) } }),
		...(override !== undefined && { override: override as Readonly<Record<string, boolean>> }),
	};
}

export function unsubscribeRequest(data: unknown): UnsubscribeUser {
	const fields = fieldsOf(data);
	return { ...targetIn(fields), channel: text(fields, "channel", nameMax) };
}

export function disconnectRequest(data: unknown): DisconnectUser {
	const fields = fieldsOf(data);
	const code = number(fields, "code");
	if (!Number.isInteger(code) || code < 3000 || code > 4999) throw new Error("code is not a whole number from 3000 to 4999");
	const reason = text(fields, "reason", 123);
	if (Buffer.byteLength(reason) > 123) throw new Error("reason has more than 123 bytes");
	return { ...targetIn(fields), code, reason, ...(fields.whitelist !== undefined && { whitelist: texts(fields, "whitelist") }) };
}

export function refreshRequest(data: unknown): RefreshUser {
	const fields = fieldsOf(data);
	if (typeof fields.expired !== "boolean") throw new Error("expired is not a flag");
	return { ...targetIn(fields), expired: fields.expired, ...optional(fields, "expireAt", number), ...optional(fields, "info", json) };
}

/** Of the list of revocations, too. */
export function revocationChange(data: unknown): RevocationChange {
	const { add, remove } = fieldsOf(data);
	const fields = fieldsOf(add ?? remove, "add");
	const kind = revocationKinds.find((each) => each === fields.kind);
	if (kind === undefined) throw new Error("kind is unknown");
	const id = text(fields, "id", nameMax);
	if (add === undefined) return { remove: { kind, id } };
	const until = optional(fields, "until", number);
	return { add: kind === "user_tokens" ? { kind, id, before: number(fields, "before"), ...until } : { kind, id, ...until } };
}

function targetIn(fields: Fields): UserTarget {
	const user = text(fields, "user", nameMax);
	if (user === "") throw new Error("user is empty");
	const short = (from: Fields, name: string) => text(from, name, nameMax);
	return { user, ...optional(fields, "client", short), ...optional(fields, "session", short) };
}

function pageIn(fields: Fields): Page {
	const most = optional(fields, "most", number);
	if (most.most !== undefined && (!Number.isInteger(most.most) || most.most < 1)) throw new Error("most is not a whole number from 1");
	return { ...optional(fields, "after", (from, name) => text(from, name, nameMax)), ...most };
}

function fieldsOf(data: unknown, name = "the request"): Fields {
	if (typeof data !== "object" || data === null || Array.isArray(data)) throw new Error(`${name} is not an object`);
	return data as Fields;
}

function text(fields: Fields, name: string, most: number): string {
	const value = fields[name];
	if (typeof value !== "string" || value.length > most) throw new Error(`${name} is not a string of at most ${most} characters`);
	return value;
}

function texts(fields: Fields, name: string): readonly string[] {
	const value = fields[name];
	if (!Array.isArray(value) || value.length > listMax || value.some((each) => typeof each !== "string" || each.length > nameMax))
		throw new Error(`${name} is not a list of at most ${listMax} strings`);
	return value as string[];
}

function number(fields: Fields, name: string): number {
	const value = fields[name];
	if (typeof value !== "number" || !Number.isFinite(value) || value < 0) throw new Error(`${name} is not a number from 0`);
	return value;
}

/** The text of a JSON value. */
function json(fields: Fields, name: string): string {
	const value = text(fields, name, jsonMax);
	try {
		JSON.parse(value);
	} catch {
		throw new Error(`${name} is not JSON`);
	}
	return value;
}

function optional<const Name extends string, Value>(
	fields: Fields,
	name: Name,
	read: (fields: Fields, name: Name) => Value,
): { readonly [Key in Name]?: Value } {
	return (fields[name] === undefined ? {} : { [name]: read(fields, name) }) as { readonly [Key in Name]?: Value };
}
