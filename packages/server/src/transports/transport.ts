/** The result of sending a message; the numbers are those of uWebSockets.js. */
export const Sent = {
	/** Some of it waits in this process until the client reads. */
	buffered: 0,
	/** The kernel has taken all of it. */
	written: 1,
	/** Too much waits already; the message was dropped. `Session.dropped` is called. */
	dropped: 2,
} as const;
export type Sent = (typeof Sent)[keyof typeof Sent];

/**
 * The connection to one client: bytes out, bytes still buffered, close. A session is the other half: it gets the events.
 *
 * The names are those of uWebSockets.js, whose WebSocket is a transport as it is: with thousands of idle clients an object in
 * between would cost memory for each. Used on the shard's loop only, and not at all from `Session.closed` on: the library throws.
 */
export interface Transport {
	/** One whole message. Its bytes may be reused when this returns. Never calls `Session.closed`. */
	send(message: string | Uint8Array, isBinary: boolean): Sent;
	/** Bytes that wait in this process because the client does not read them fast enough. */
	getBufferedAmount(): number;
	/** Sends what waits, then code and reason. Calls `Session.closed` with the same code before it returns. */
	end(code: number, reason: string): void;
	/** Cuts the connection: what waits is lost, the client gets no code. Calls `Session.closed` with 1006 before it returns. */
	close(): void;
	/** The address at the other end as text. */
	getRemoteAddressAsText(): ArrayBuffer;
}

/** A transport that can listen to topics, so that one message to many clients is one call. */
export interface TopicTransport extends Transport {
	subscribe(topic: string): boolean;
	unsubscribe(topic: string): boolean;
	/** To all subscribers of the topic but this one. */
	publish(topic: string, message: Uint8Array, isBinary: boolean): boolean;
	/** The three of them send one message in parts. Between two parts nothing else may be sent, and the client must be in no topic that is published to. */
	sendFirstFragment(part: Uint8Array, isBinary: boolean): Sent;
	sendFragment(part: Uint8Array): Sent;
	sendLastFragment(part: Uint8Array): Sent;
}

export function hasTopics(transport: Transport): transport is TopicTransport {
	return "subscribe" in transport;
}
