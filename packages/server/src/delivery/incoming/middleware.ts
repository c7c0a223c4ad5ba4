import type { RecordKind } from "@shardcast/wire";

/**
 * An incoming message. Valid until the last handler has returned, and its promise, if any, has settled. `payload` is in the socket's buffer until a
 * handler waits. Then it becomes a copy, so read it again after waiting. (An async function gets a copy from the start.)
 */
export interface MessageContext {
	/** `host`: the program that runs the server, by `server.publish`. `outbox`: a row of the outbox in PostgreSQL. */
	readonly source: "websocket" | "http" | "host" | "redis" | "outbox";
	readonly kind: RecordKind;
	/** Empty = to everybody. */
	readonly channels: readonly string[];
	/** IP address of the publisher. */
	readonly address: string;
	/** A handler may replace it; the new bytes are published. */
	payload: Uint8Array;
}

/** Passes the message on to the inner handlers, once. Returns a promise if one of them waits; it settles when they are done. */
export type Next = () => Promise<void> | undefined;

/**
 * Gets each message before it is published. Call `next` to let it through. If it returns a promise, later messages of the same connection wait for it.
 * An exception or rejected promise loses this message only.
 */
export type Middleware = (context: MessageContext, next: Next) => void | Promise<void>;

/**
 * Gets each message that all middleware let through, just before it is published. It cannot wait: if it returns a promise that rejects, this is
 * counted, but the message is published.
 */
export type MessageHandler = (message: MessageContext) => void;
