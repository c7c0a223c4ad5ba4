import { type Push, push } from "../messages/push.ts";
import { type Reply, reply } from "../messages/reply.ts";
import { encodeJsonMessage } from "./json-encoder.ts";

/** One reply, or a push in its reply, as one line of JSON without a line feed. `{}` is a ping. */
export function encodeJsonReply(message: Reply): Uint8Array {
	return encodeJsonMessage(reply, message);
}

/** A bare push, for unidirectional connections. `{}` is a ping. */
export function encodeJsonPush(message: Push): Uint8Array {
	return encodeJsonMessage(push, message);
}
