/** The result of sending a message; the numbers are those of uWebSockets.js. */
export const Sent = {
	/** Some of it is buffered in this process until the client reads. */
	buffered: 0,
	/** The kernel has accepted all of it. */
	written: 1,
	/** Too much is buffered, so the message was dropped. `Session.dropped` is called. */
	dropped: 2,
} as const;
export type Sent = (typeof Sent)[keyof typeof Sent];

/**
 * The connection to a client: sending, buffered bytes, closing. The session gets its events.
 *
 * Names are those of uWebSockets.js, so that its WebSocket is a transport without a wrapper, which would cost memory for each of thousands of idle
 * clients. Use it only on the shard's loop, and not after `Session.closed`: the library would throw.
 */
export interface Transport {
	/** Sends a complete message. The caller may reuse its bytes when this returns. Never calls `Session.closed`. */
	send(message: string | Uint8Array, isBinary: boolean): Sent;
	/** Bytes buffered in this process because the client reads too slowly. */
	getBufferedAmount(): number;
	/** Sends buffered bytes, then code and reason. Calls `Session.closed` with the same code before it returns. */
	end(code: number, reason: string): void;
	/** Closes the connection at once: buffered bytes are lost, and the client gets no code. Calls `Session.closed` with 1006 before it returns. */
	close(): void;
	/** The peer's address as text. */
	getRemoteAddressAsText(): ArrayBuffer;
}

/** A transport that can subscribe to topics, so that one call sends a message to many clients. */
export interface TopicTransport extends Transport {
	subscribe(topic: string): boolean;
	unsubscribe(topic: string): boolean;
	/** Sends to all subscribers of the topic except this one. */
	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean;
	/** These three send a message in parts. Between two parts nothing else may be sent, so the client must not be subscribed to an active topic. */
	sendFirstFragment(part: Uint8Array, isBinary: boolean): Sent;
	sendFragment(part: Uint8Array): Sent;
	sendLastFragment(part: Uint8Array): Sent;
}

export function hasTopics(transport: Transport): transport is TopicTransport {
	return "subscribe" in transport;
}
