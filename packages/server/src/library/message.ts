import { isMessageType, messageTypeMax, typedMessage } from "@shardcast/wire";
import { checkKeys, describe, isHigh } from "./arguments.ts";

/** A message with a type. Clients get `{"type": …, "payload": …}`. */
export interface Message {
	/** 1 to 128 characters. */
	readonly type: string;
	/** Anything that can be written as JSON. */
	readonly payload: unknown;
	/** High: the message does not wait behind others. Default: normal. */
	readonly priority?: "normal" | "high";
}

/**
 * The bytes that clients get of a message.
 * @param what the function, such as "broadcast".
 * @throws TypeError for an unknown key or a wrong type; RangeError for a type that is too long.
 */
export function messageOf(what: string, message: Message): { readonly payload: Uint8Array; readonly urgent: boolean } {
	checkKeys(what, "a message", message, ["type", "payload", "priority"] satisfies (keyof Message)[]);
	const { type, payload, priority } = message;
	if (typeof type !== "string" || type === "")
		throw new TypeError(`type must be a non-empty string, not ${type === "" ? "an empty one" : describe(type)}`);
	if (!isMessageType(type)) throw new RangeError(`the type has ${type.length} characters; the most is ${messageTypeMax}`);
	return { payload: typedMessage(type, Buffer.from(jsonOf(payload))), urgent: isHigh(priority) };
}

function jsonOf(payload: unknown): string {
	let json: string | undefined;
	try {
		json = JSON.stringify(payload);
	} catch (error) {
		throw new TypeError(`payload must be a value that JSON can express: ${(error as Error).message}`, { cause: error });
	}
	if (json === undefined) throw new TypeError(`payload must be a value that JSON can express, not ${describe(payload)}`);
	return json;
}
