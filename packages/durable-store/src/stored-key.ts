import { createHash } from "node:crypto";

/** Neither LMDB nor an index of PostgreSQL takes keys of any length: together with the channel, about 2,000 bytes. */
const bytesMax = 256;

/** An idempotency key as it is stored: a long one as its hash. */
export function storedKey(key: string): string {
	return Buffer.byteLength(key) <= bytesMax ? key : `sha256:${createHash("sha256").update(key).digest("base64")}`;
}
