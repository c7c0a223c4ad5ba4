import { isUtf8 } from "node:buffer";
import type { ReplyError } from "@shardcast/protocol";
import { FieldError, type Fields, tableField, textField } from "../json/fields.ts";
import { type HookName, type HookResults, hookResults } from "./hook-results.ts";
import { writtenMember } from "./json-members.ts";

/** Closes the client's connection. */
export interface HookDisconnect {
	readonly code: number;
	readonly reason: string;
}

/** A backend's decision. */
export type HookReply<H extends HookName> =
	| { readonly result: HookResults[H] }
	| { readonly error: Required<ReplyError> }
	| { readonly disconnect: HookDisconnect };

/** The close reason of a WebSocket has at most 123 bytes. */
const reasonBytesMax = 123;

const noObject = "it is not a JSON object";

/**
 * Reads the body of a backend's reply: `{"result": {…}}`, `{"error": {…}}` or `{"disconnect": {…}}`. If there are several, a disconnect takes
 * precedence over an error, and an error over a result. Unknown keys are ignored: a backend may be newer.
 * @throws FieldError that says what is wrong, without quoting the reply.
 */
export function readHookReply<H extends HookName>(hook: H, body: Uint8Array): HookReply<H> {
	const reply = parsed(body);
	const disconnect = tableField(reply, "disconnect");
	if (disconnect !== null) return { disconnect: disconnectIn(disconnect) };
	const error = tableField(reply, "error");
	if (error !== null) return { error: errorIn(error) };
	return { result: hookResults[hook](tableField(reply, "result"), () => writtenMember(body, "result")) };
}

function parsed(body: Uint8Array): Fields {
	if (!isUtf8(body)) throw new FieldError(noObject);
	let value: unknown;
	try {
		value = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString());
	} catch {
		throw new FieldError(noObject);
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) throw new FieldError(noObject);
	return value as Fields;
}

/** Applications use the codes from 400 to 1999; a backend may also use the server's codes. */
function errorIn(fields: Fields): Required<ReplyError> {
	const { code, temporary = false } = fields;
	if (!isCode(code, 100, 1999)) throw new FieldError("error.code is not an integer from 100 to 1999");
	if (typeof temporary !== "boolean") throw new FieldError("error.temporary is neither true nor false");
	return { code, message: textField(fields, "message"), temporary };
}

/** The code tells the client whether to reconnect: from 3500 to 3999 and from 4500 to 4999 it does not. */
function disconnectIn(fields: Fields): HookDisconnect {
	const { code } = fields;
	if (!isCode(code, 3000, 4999)) throw new FieldError("disconnect.code is not an integer from 3000 to 4999");
	const reason = textField(fields, "reason");
	if (Buffer.byteLength(reason) > reasonBytesMax) throw new FieldError(`disconnect.reason has more than ${reasonBytesMax} bytes`);
	return { code, reason };
}

function isCode(code: unknown, min: number, max: number): code is number {
	return typeof code === "number" && Number.isInteger(code) && code >= min && code <= max;
}
