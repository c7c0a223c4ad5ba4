/** The longest type of a message, in characters. */
export const messageTypeMax = 128;

/**
 * The longest user id, in bytes of UTF-8, wherever one is given: in tokens, replies of hooks, the server API, records of Kafka and the list of
 * blocked users. So every user who can connect can be blocked. Every publication of the client carries the id. OpenID Connect allows the same
 * number of characters.
 */
export const userIdBytesMax = 255;

export const isUserIdTooLong = (user: string): boolean => Buffer.byteLength(user) > userIdBytesMax;

export const isMessageType = (type: string): boolean => type !== "" && type.length <= messageTypeMax;

/** With high priority, a message does not wait behind others. */
export type Priority = "normal" | "high";

export const isPriority = (text: unknown): text is Priority => text === "normal" || text === "high";

/** What clients get of a message with a type: `{"type":"alert","payload":…}`. @param payload JSON; it is copied byte for byte. */
export function typedMessage(type: string, payload: Uint8Array): Uint8Array {
	return Buffer.concat([Buffer.from(`{"type":${JSON.stringify(type)},"payload":`), payload, closing]);
}

const closing = Buffer.from("}");
