import { createHmac } from "node:crypto";

/** Names of the headers of each request. */
export const webhookHeaders = {
	name: "x-shardcast-webhook",
	timestamp: "x-shardcast-timestamp",
	signature: "x-shardcast-signature",
} as const;

/**
 * HMAC-SHA256 of the time and the body, once per secret: a receiver that knows one of them accepts the request. The time is signed as well, so
 * that a recorded request cannot be replayed later.
 * @param timestamp seconds since 1970, as in the header.
 */
export function signatures(secrets: readonly string[], timestamp: string, body: Uint8Array): string {
	const one = (secret: string): string => `v1=${createHmac("sha256", secret).update(`${timestamp}.`).update(body).digest("hex")}`;
	return secrets.map(one).join(",");
}
