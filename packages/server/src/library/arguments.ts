import type { MessageDetails } from "@shardcast/bus";
import { closestWord } from "@shardcast/config";
import { tagsBytesMax } from "../http/publish-request.ts";
import type { PublishTarget } from "./server.ts";

/** What a program hands over, checked for programs in JavaScript: nothing that was meant to have an effect is ignored. */

const targetKeys = ["channel", "channels"] as const satisfies readonly (keyof PublishTarget)[];
const publishKeys = [...targetKeys, "tags", "idempotencyKey", "delta"] as const satisfies readonly (keyof PublishTarget)[];

/**
 * The channels that a message goes to; none = everybody. A few comparisons for each message.
 * @throws TypeError for anything that could send it to everybody by mistake; RangeError for an empty list.
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
		if (!isRight) throw new TypeError(`${key} is ${wanted}, not ${describe(value)}`);
		if (given.length === 0) throw new RangeError("channels is an empty list; leave it out to send to everybody");
		names.push(...given);
	}
	return names;
}

/** What the message brings besides; undefined = nothing. @throws TypeError for what is no tags, or no key; RangeError for too many tags. */
export function detailsOf({ tags, idempotencyKey, delta }: PublishTarget): MessageDetails | undefined {
	if (tags === undefined && idempotencyKey === undefined && delta === undefined) return undefined;
	if (delta !== undefined && typeof delta !== "boolean") throw new TypeError(`delta is true or false, not ${describe(delta)}`);
	if (tags !== undefined && (typeof tags !== "object" || tags === null || Object.values(tags).some((value) => typeof value !== "string")))
		throw new TypeError(`tags are an object of strings, not ${describe(tags)}`);
	if (tags !== undefined && Buffer.byteLength(JSON.stringify(tags)) > tagsBytesMax)
		throw new RangeError(`the tags are more than ${tagsBytesMax} bytes as JSON`);
	if (idempotencyKey !== undefined && (typeof idempotencyKey !== "string" || idempotencyKey === ""))
		throw new TypeError(`idempotencyKey is a string that is not empty, not ${describe(idempotencyKey)}`);
	return { ...(tags && { tags: { ...tags } }), ...(idempotencyKey !== undefined && { idempotencyKey }), ...(delta && { delta }) };
}

/** @throws TypeError when it is neither text nor bytes. */
export function bytesOf(message: string | Uint8Array): Uint8Array {
	if (typeof message === "string") return Buffer.from(message);
	if (message instanceof Uint8Array) return message;
	throw new TypeError(`publish takes a string or a Uint8Array, not ${describe(message)}`);
}

/**
 * @param what takes it, such as "createServer", and `role` what it is there.
 * @throws TypeError when it is no object, or has a key that is not known.
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

/** @throws RangeError when it is no time for which a timer can run, or shorter than `least`. */
export function checkMs(name: string, ms: number, least = 1): void {
	if (typeof ms === "number" && ms >= least && ms < 2 ** 31) return;
	throw new RangeError(`${name} is ${String(ms)}; it is a time in milliseconds, from ${least} to 2147483647`);
}

/** "an object", "a number", "null", "an array", "a Float64Array". */
function describe(value: unknown): string {
	if (value === null || value === undefined) return String(value);
	const name = typeof value === "object" ? (Object.getPrototypeOf(value)?.constructor?.name ?? "Object") : typeof value;
	const noun = name === "Object" || name === "Array" ? name.toLowerCase() : name;
	return `${/^[aeiou]/i.test(noun) ? "an" : "a"} ${noun}`;
}
