import type { Reply } from "@shardcast/http";
import type { Transport } from "../transports/transport.ts";
import type { UpgradeRequest } from "../transports/upgrade-request.ts";

/**
 * The protocol state of one connection, from open to close: it gets the events of its transport and owns its subscriptions.
 * Called by the transport on the shard's loop, `opened` first and `closed` last, each once. An exception in one of these ends this connection
 * and is counted; no other connection is affected.
 */
export interface Session<T extends Transport = Transport> {
	/** The transport accepts messages from now on. */
	opened(transport: T): void;
	/** A frame from the client; its bytes are valid until this returns. */
	frame(message: ArrayBuffer, isBinary: boolean): void;
	/** Some of the buffered bytes have been written. */
	writable(): void;
	/** A message was dropped because the buffer is full. Nothing may be sent, subscribed or closed in here: the transport is in the middle of it. */
	dropped(): void;
	/** The connection is gone. @param code as the client sent it or as we did; 1006 = it was cut, 1009 = because of a frame's length. */
	closed(code: number): void;
}

/** Makes the sessions of some paths: one protocol. */
export interface SessionFactory<T extends Transport = Transport> {
	/** Exact paths, without a query. */
	readonly paths: readonly string[];
	/** Looked up when the factory is installed, and again by `Sockets.limit`: what a connection came under holds for its life. */
	limits(): TransportLimits;
	/** The session of a request that may connect, which is opened at once; the answer for one that may not; or, later, one of the two. */
	connect(request: UpgradeRequest): Connecting<T> | { readonly refused: Reply } | Judging<T>;
}

/** It is not known yet whether a request may connect. */
export interface Judging<T extends Transport = Transport> {
	/** Called once it is known, if the client is still there. */
	readonly judged: Promise<() => Connecting<T> | { readonly refused: Reply }>;
	/** The client has gone: gives back what was taken for it. Then nothing of `judged` is called. */
	abandon(): void;
}

export interface Connecting<T extends Transport = Transport> {
	readonly session: Session<T>;
	/** The one of those that the client offers that it is answered; absent = its first. */
	readonly subprotocol?: string | undefined;
}

export interface TransportLimits {
	/** A longer frame cuts the connection before it is read. */
	readonly frameBytesMax: number;
	/** Bytes that may wait for a client; a message beyond them is dropped. */
	readonly bufferedBytesMax: number;
	/** A client that has been silent for so long is closed. */
	readonly idleTimeoutMs: number;
}
