import { channelHash } from "@shardcast/wire";

const encoder = new TextEncoder();
/** User ids with the bucket name before them are rarely longer. */
let bytes = new Uint8Array(1024);

/**
 * A user id as a 64-bit key, the same in all processes of a cluster. It depends on a secret, so that nobody can choose ids with the same key.
 * @param purpose separates keys for different uses; must not contain NUL.
 */
export function userKey(user: string, purpose = ""): bigint {
	const text = `\0${purpose}\0${user}`;
	if (text.length * 3 > bytes.length) bytes = new Uint8Array(text.length * 3);
	const { written } = encoder.encodeInto(text, bytes);
	const low = channelHash(bytes, 0, written);
	bytes[0] = 1;
	return (BigInt(channelHash(bytes, 0, written)) << 32n) | BigInt(low);
}
