/**
 * A topic id is 16 bytes, chosen by the brokers when the topic is created. Here it is text as Kafka's tools print it: 22 characters of
 * base64url, or null when the broker does not report it.
 */
export const topicIdLength = 16;
const none = new Uint8Array(topicIdLength);

/** Null for 16 zero bytes. */
export function topicIdText(bytes: Buffer): string | null {
	return bytes.equals(none) ? null : bytes.toString("base64url");
}

/** Zeros for null. */
export function topicIdBytes(id: string | null): Uint8Array {
	return id === null ? none : Buffer.from(id, "base64url");
}
