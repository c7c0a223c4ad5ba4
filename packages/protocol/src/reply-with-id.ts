/** See `Codec.replyWithId`. */
export function jsonReplyWithId(id: number, reply: Uint8Array): Uint8Array {
	// Replaces the opening brace.
	return joined(Buffer.from(`{"id":${id},`), reply.subarray(1));
}

/** See `Codec.replyWithId`. The reply starts with its length, which changes. */
export function protobufReplyWithId(id: number, reply: Uint8Array): Uint8Array {
	const body = reply.subarray(reply.findIndex((byte) => byte < 0x80) + 1);
	const field = [idTag, ...varint(id)];
	return joined(new Uint8Array([...varint(field.length + body.length), ...field]), body);
}

/** Field 1, a varint. */
const idTag = 0x08;

function varint(value: number): number[] {
	const bytes: number[] = [];
	let left = value;
	while (left >= 0x80) {
		bytes.push((left % 0x80) | 0x80);
		left = Math.floor(left / 0x80);
	}
	bytes.push(left);
	return bytes;
}

function joined(start: Uint8Array, rest: Uint8Array): Uint8Array {
	const whole = new Uint8Array(start.length + rest.length);
	whole.set(start);
	whole.set(rest, start.length);
	return whole;
}
