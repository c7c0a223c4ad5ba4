import type { RecordKind } from "@shardcast/wire";

/**
 * A message on its way in. Valid until the last handler has returned, and its promise has settled if it gave one. `payload` lies in the socket's
 * own buffer until a handler waits; then it is a copy, so a handler reads it again after it has waited. (A handler that is an async function
 * gets a copy from the start.)
 */
export interface MessageContext {
	/** `host`: the program that runs the server, by `server.publish`. */
	readonly source: "websocket" | "http" | "host";
	readonly kind: RecordKind;
	/** None = to everybody. */
	readonly channels: readonly string[];
	/** Where it came from: an IP address. */
	readonly address: string;
	/** A handler may put other bytes here; those go out. */
	payload: Uint8Array;
}

/** Lets the message through to the handlers inside, once. A promise when one of them waits: it settles when they are done. */
export type Next = () => Promise<void> | undefined;

/**
 * Sees each message before it is published: calls `next` to let it through, or does not. It may wait: then it returns a promise, and later
 * messages of the same connection wait behind this one. An exception, or a promise that rejects, costs this one message.
 */
export type Middleware = (context: MessageContext, next: Next) => void | Promise<void>;

/**
 * Sees each message that all middleware let through, just before it goes out. It cannot wait: a promise that it returns and that rejects is
 * counted, but the message has gone out.
 */
export type MessageHandler = (message: MessageContext) => void;
