/**
 * A topic's id is 16 bytes, which brokers choose whenever a topic is created. We keep it as Kafka's tools print it, in 22 characters of
 * base64url; null where a broker does not tell.
 */
export const topicIdLength = 16;
const none = new Uint8Array(topicIdLength);

/** Null for the id of nothing. */
export function topicIdText(bytes: Buffer): string | null {
	return bytes.equals(none) ? null : bytes.toString("base64url");
}

/** Zeros for null. */
export function topicIdBytes(id: string | null): Uint8Array {
	return id === null ? none : Buffer.from(id, "base64url");
}
