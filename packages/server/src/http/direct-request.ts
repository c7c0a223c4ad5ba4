import { isUserIdTooLong, type JsonSpan, jsonText, scanJson, typedMessage, userIdBytesMax } from "@shardcast/wire";
import { isHigh, PublishRequestError, readJson, typeOf, wellFormed } from "./publish-request.ts";

/** A message to connections, outside of channels. */
export interface DirectRequest {
	/** Null = to all clients. */
	readonly user: string | null;
	/** With its type around it. */
	readonly payload: Uint8Array;
	readonly urgent: boolean;
}

const quote = 0x22;

/**
 * Reads `{"user": string, "type": string, "data": any, "priority"?: "normal" | "high"}`; the data is passed on byte for byte. An unknown key is refused.
 * @param toUser whether it is for one user; otherwise there is no `user`.
 * @throws PublishRequestError
 */
export function parseDirect(body: Uint8Array, toUser: boolean): DirectRequest {
	const known = toUser ? ["user", "type", "data", "priority"] : ["type", "data", "priority"];
	const spans = new Map<string, JsonSpan>();
	const shape = readJson(() =>
		scanJson(body, {
			member: (key, value) => void spans.set(jsonText(body, key), value),
			element: () => {},
		}),
	);
	if (shape !== "object") throw new PublishRequestError("it must be an object");
	for (const name of spans.keys())
		if (!known.includes(name)) throw new PublishRequestError(`"${name.slice(0, 40)}" is not known here; ${known.join(", ")} are`);
	const type = typeOf(body, required(spans, "type"));
	const data = required(spans, "data");
	const payload = typedMessage(type, body.subarray(data.start, data.end));
	const priority = spans.get("priority") ?? null;
	return { user: toUser ? userIn(body, required(spans, "user")) : null, payload, urgent: isHigh(body, priority) };
}

function required(spans: ReadonlyMap<string, JsonSpan>, name: string): JsonSpan {
	const span = spans.get(name);
	if (span === undefined) throw new PublishRequestError(`"${name}" is missing`);
	return span;
}

function userIn(body: Uint8Array, span: JsonSpan): string {
	const user = body[span.start] === quote ? wellFormed("user", jsonText(body, span)) : "";
	if (user === "") throw new PublishRequestError('"user" must be a string, and not empty');
	if (isUserIdTooLong(user)) throw new PublishRequestError(`"user" has more than ${userIdBytesMax} bytes`);
	return user;
}
