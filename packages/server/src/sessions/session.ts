import type { Reply } from "@shardcast/http";
import type { Transport } from "../transports/transport.ts";
import type { UpgradeRequest } from "../transports/upgrade-request.ts";

/**
 * The protocol state of one connection, from open to close. It receives the events of its transport and owns its subscriptions. The transport
 * calls it on the shard's loop: `opened` first and `closed` last, each once. An exception in one of these calls ends this connection and is
 * counted; other connections are not affected.
 */
export interface Session<T extends Transport = Transport> {
	/** The transport accepts messages from now on. */
	opened(transport: T): void;
	/** A frame from the client; its bytes are valid until this returns. */
	frame(message: ArrayBuffer, isBinary: boolean): void;
	/** Some of the buffered bytes have been written. */
	writable(): void;
	/**
	 * A message was dropped because the buffer is full. The transport is in the middle of an operation, so nothing may be sent, subscribed or
	 * closed in this call.
	 */
	dropped(): void;
	/** The connection has closed. @param code as sent by the client or by us; 1006 = it was cut, 1009 = a frame was too long. */
	closed(code: number): void;
}

/** Creates the sessions of some paths, all of one protocol. */
export interface SessionFactory<T extends Transport = Transport> {
	/** Exact paths, without a query string. */
	readonly paths: readonly string[];
	/** Read when the factory is installed, and again by `Sockets.limit`. A connection keeps the limits it was created with. */
	limits(): TransportLimits;
	/** Returns the session of an admitted request, which is opened at once; the reply to a refused one; or a `PendingConnect` that decides later. */
	connect(request: UpgradeRequest): Connecting<T> | { readonly refused: Reply } | PendingConnect<T>;
}

/** The decision about a request takes time. */
export interface PendingConnect<T extends Transport = Transport> {
	/** Called when the decision is known and the client is still connected. */
	readonly decided: Promise<() => Connecting<T> | { readonly refused: Reply }>;
	/** The client has disconnected: releases what was reserved for it. Nothing of `decided` is called after this. */
	abandon(): void;
}

export interface Connecting<T extends Transport = Transport> {
	readonly session: Session<T>;
	/** The one of the offered subprotocols that the server selects; absent = the first. */
	readonly subprotocol?: string | undefined;
}

export interface TransportLimits {
	/** A longer frame cuts the connection before it is read. */
	readonly frameBytesMax: number;
	/** The most bytes that may wait for a client; a message beyond them is dropped. */
	readonly bufferedBytesMax: number;
	/** A client that sends nothing for this long is closed. */
	readonly idleTimeoutMs: number;
}
