import type { MessageDetails } from "@shardcast/bus";
import { closestWord, type Failover, failovers } from "@shardcast/config";
import type { AssignRequest, ClientRequest } from "@shardcast/http";
import { type TraceContext, traceContextOf } from "@shardcast/telemetry";
import { isPriority, isUserIdTooLong, userIdBytesMax } from "@shardcast/wire";
import { sessionMetadataBytesMax, sessionTextMax } from "../http/api/session-methods.ts";
import { tagsBytesMax } from "../http/publish-request.ts";
import { isTolerance, type RebalanceOptions } from "../nodes/rebalance.ts";
import type { PublishTarget, SelectNodeOptions, Session } from "./server.ts";

/** Checks of the arguments that an application passes, for applications in JavaScript: a misspelt argument is an error, never ignored. */

const targetKeys = ["channel", "channels"] as const satisfies readonly (keyof PublishTarget)[];
const publishKeys = [
	...targetKeys,
	"tags",
	"idempotencyKey",
	"delta",
	"priority",
	"traceparent",
	"tracestate",
] as const satisfies readonly (keyof PublishTarget)[];

/**
 * The channels of a message; empty = all clients. Costs a few comparisons for each message.
 * @throws TypeError for anything that could send the message to everybody by mistake; RangeError for an empty list.
 */
export function channelsOf(target: PublishTarget): readonly string[] {
	checkKeys("publish", "its target", target, publishKeys);
	const names: string[] = [];
	for (const key of targetKeys) {
		if (!(key in target)) continue;
		const value: unknown = target[key];
		if (value === undefined) throw new TypeError(`${key} is undefined; leave it out to send to everybody`);
		const given = key === "channel" ? [value] : value;
		const isRight = Array.isArray(given) && given.every((name) => typeof name === "string");
		const wanted = key === "channel" ? "a string" : "a list of strings";
		if (!isRight) throw new TypeError(`${key} must be ${wanted}, not ${describe(value)}`);
		if (given.length === 0) throw new RangeError("channels is an empty list; leave it out to send to everybody");
		names.push(...given);
	}
	return names;
}

/** Tags, idempotency key, delta and priority of a message; undefined = none. @throws TypeError for an invalid one; RangeError for too many tags. */
export function detailsOf({ tags, idempotencyKey, delta, priority }: PublishTarget): MessageDetails | undefined {
	if (tags === undefined && idempotencyKey === undefined && delta === undefined && priority === undefined) return undefined;
	if (delta !== undefined && typeof delta !== "boolean") throw new TypeError(`delta must be true or false, not ${describe(delta)}`);
	if (tags !== undefined && (typeof tags !== "object" || tags === null || Object.values(tags).some((value) => typeof value !== "string")))
		throw new TypeError(`tags must be an object of strings, not ${describe(tags)}`);
	if (tags !== undefined && Buffer.byteLength(JSON.stringify(tags)) > tagsBytesMax)
		throw new RangeError(`the tags have more than ${tagsBytesMax} bytes as JSON`);
	if (idempotencyKey !== undefined && (typeof idempotencyKey !== "string" || idempotencyKey === ""))
		throw new TypeError(`idempotencyKey must be a non-empty string, not ${describe(idempotencyKey)}`);
	return {
		...(tags && { tags: { ...tags } }),
		...(idempotencyKey !== undefined && { idempotencyKey }),
		...(delta && { delta }),
		...(isHigh(priority) && { urgent: true }),
	};
}

/** The trace of a message; null = none, or not a valid one: as in a header, that is no error. @throws TypeError when it is no text. */
export function traceOf({ traceparent, tracestate = "" }: PublishTarget): TraceContext | null {
	if (traceparent === undefined) return null;
	for (const [name, value] of Object.entries({ traceparent, tracestate }))
		if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${describe(value)}`);
	return traceContextOf(traceparent, tracestate);
}

/** @throws TypeError for another priority. */
export function isHigh(priority: unknown): boolean {
	if (priority !== undefined && !isPriority(priority))
		throw new TypeError(`priority must be "normal" or "high", not ${typeof priority === "string" ? `"${priority}"` : describe(priority)}`);
	return priority === "high";
}

/** @throws TypeError when it is not a user id; RangeError when it is too long. */
export function userOf(user: unknown): string {
	if (typeof user !== "string" || user === "")
		throw new TypeError(`user must be a non-empty string, not ${user === "" ? "an empty one" : describe(user)}`);
	// It would become another user's id in UTF-8.
	if (!user.isWellFormed()) throw new TypeError("user is not well-formed Unicode");
	if (isUserIdTooLong(user)) throw new RangeError(`user has more than ${userIdBytesMax} bytes`);
	return user;
}

/** @throws TypeError for anything that would select a node for somebody else by mistake. */
export function selectionOf(clientIp: string, userId: string, options: SelectNodeOptions): ClientRequest {
	checkKeys("selectNode", "its options", options, ["region", "avoid", "connection"] satisfies (keyof SelectNodeOptions)[]);
	const { region = "", avoid = [], connection = "" } = options;
	checkTexts({ clientIp, userId, region, connection });
	if (!Array.isArray(avoid)) throw new TypeError(`avoid must be a list of node ids, not ${describe(avoid)}`);
	return { address: clientIp, user: userId, connection, region, avoid };
}

/** @throws TypeError for anything that would assign another session by mistake; RangeError for what is too long. */
export function assignmentOf(session: Session): AssignRequest {
	const keys = ["user", "connection", "node", "address", "region", "metadata"] satisfies (keyof Session)[];
	checkKeys("assignSession", "a session", session, keys);
	const { user = "", connection = "", node = "", address = "", region = "", metadata } = session;
	checkTexts({ user, connection, node, address, region });
	if (user === "" && connection === "") throw new TypeError("a session has a user, a connection, or both");
	if (user !== "") userOf(user);
	const json = metadata === undefined ? "" : JSON.stringify(metadata);
	if (json === undefined) throw new TypeError(`metadata must be a value that JSON can express, not ${describe(metadata)}`);
	if (Buffer.byteLength(json) > sessionMetadataBytesMax) throw new RangeError(`metadata has more than ${sessionMetadataBytesMax} bytes`);
	return { user, connection, node, address, region, avoid: [], metadata: json };
}

function checkTexts(texts: Readonly<Record<string, unknown>>): void {
	for (const [name, value] of Object.entries(texts)) {
		if (typeof value !== "string") throw new TypeError(`${name} must be a string, not ${describe(value)}`);
		if (!value.isWellFormed()) throw new TypeError(`${name} is not well-formed Unicode`);
		if (value.length > sessionTextMax) throw new RangeError(`${name} has more than ${sessionTextMax} characters`);
	}
}

/** @throws TypeError for an unknown key; RangeError for a wrong tolerance. */
export function checkedRebalance(options: RebalanceOptions): RebalanceOptions {
	checkKeys("rebalance", "its options", options, ["tolerance"] satisfies (keyof RebalanceOptions)[]);
	const { tolerance } = options;
	if (tolerance !== undefined && !isTolerance(tolerance))
		throw new RangeError(`tolerance is ${String(tolerance)}; it must be a number from 0 to 1`);
	return options;
}

/** @throws TypeError when it is no strategy. */
export function checkedFailover(strategy: Failover): Failover {
	if (failovers.includes(strategy)) return strategy;
	throw new TypeError(`the strategy is ${JSON.stringify(strategy)}; there are ${failovers.join(", ")}`);
}

/** @throws TypeError when it is neither text nor bytes. */
export function bytesOf(message: string | Uint8Array): Uint8Array {
	if (typeof message === "string") return Buffer.from(message);
	if (message instanceof Uint8Array) return message;
	throw new TypeError(`publish takes a string or a Uint8Array, not ${describe(message)}`);
}

/**
 * @param what the function, such as "createServer". @param role its parameter.
 * @throws TypeError when the value is not an object, or has an unknown key.
 */
export function checkKeys(what: string, role: string, given: unknown, known: readonly string[]): void {
	if (typeof given !== "object" || given === null || Array.isArray(given))
		throw new TypeError(`${what} takes ${role} as an object, such as { ${known[0]}: … }, not ${describe(given)}`);
	for (const key in given) {
		if (known.includes(key)) continue;
		const meant = closestWord(key, known);
		const fix = meant === undefined ? `there are ${known.join(", ")}` : `did you mean "${meant}"?`;
		throw new TypeError(`${what} does not know "${key}"; ${fix}`);
	}
}

/** @throws RangeError when it is not a valid duration for a timer, or shorter than `least`. */
export function checkMs(name: string, ms: number, least = 1): void {
	if (typeof ms === "number" && ms >= least && ms < 2 ** 31) return;
	throw new RangeError(`${name} is ${String(ms)}; it must be in milliseconds, from ${least} to 2147483647`);
}

/** "an object", "a number", "null", "an array", "a Float64Array". */
export function describe(value: unknown): string {
	if (value === null || value === undefined) return String(value);
	const name = typeof value === "object" ? (Object.getPrototypeOf(value)?.constructor?.name ?? "Object") : typeof value;
	const noun = name === "Object" || name === "Array" ? name.toLowerCase() : name;
	return `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
}

/** @throws TypeError when it is not a function. @param what such as "a middleware". */
export function checkFunction(what: string, given: unknown): void {
	if (typeof given !== "function") throw new TypeError(`${what} must be a function, and not ${describe(given)}`);
}

const logMethods = ["debug", "info", "warn", "error"] as const;

/** @throws TypeError when it cannot take log lines. */
export function checkLog(log: unknown): void {
	if (logMethods.every((name) => typeof (log as Record<string, unknown> | null)?.[name] === "function")) return;
	throw new TypeError(`log must have the methods ${logMethods.join(", ")}`);
}
