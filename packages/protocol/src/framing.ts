/**
 * How encoded JSON messages are framed for each transport. Protobuf messages carry their length, so they are just concatenated on every
 * transport. A WebSocket frame of one message is that message, not a copy.
 */
export function jsonWebSocketFrame(messages: readonly Uint8Array[]): Uint8Array {
	return messages.length === 1 ? messages[0] : join(messages, nothing, lineFeed, nothing);
}

/** HTTP streaming: one message per line. */
export function jsonStreamFrame(messages: readonly Uint8Array[]): Uint8Array {
	return join(messages, nothing, nothing, lineFeed);
}

/** Server-sent events: one event per message. */
export function sseFrame(messages: readonly Uint8Array[]): Uint8Array {
	return join(messages, sseStart, nothing, sseEnd);
}

/** Protobuf on any transport, from messages that carry their length. */
export function protobufFrame(messages: readonly Uint8Array[]): Uint8Array {
	return messages.length === 1 ? messages[0] : join(messages, nothing, nothing, nothing);
}

const nothing = Buffer.alloc(0);
const lineFeed = Buffer.from("\n");
const sseStart = Buffer.from("data: ");
const sseEnd = Buffer.from("\n\n");

function join(messages: readonly Uint8Array[], before: Uint8Array, between: Uint8Array, after: Uint8Array): Uint8Array {
	let length = messages.length * (before.length + after.length) + Math.max(messages.length - 1, 0) * between.length;
	for (const message of messages) length += message.length;
	const frame = new Uint8Array(length);
	let at = 0;
	const put = (bytes: Uint8Array): void => {
		frame.set(bytes, at);
		at += bytes.length;
	};
	messages.forEach((message, index) => {
		if (index > 0) put(between);
		put(before);
		put(message);
		put(after);
	});
	return frame;
}
