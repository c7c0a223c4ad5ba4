/** An answer in parts, such as server-sent events. Owned by the event loop that serves the connection. */
export interface ReplyStream {
	/**
	 * Sends a part, or keeps it until the client has read the parts before. Parts written in one turn of the loop are sent together at its end.
	 * The caller may reuse the bytes when this returns, and must limit what is kept. Does nothing when the stream is over.
	 * @returns the bytes that wait because the client reads too slowly; 0 = none.
	 */
	write(part: string | Uint8Array): number;
	/** The bytes that wait, as returned by `write`. Does not include some tens of KB in the kernel. */
	readonly bufferedBytes: number;
	/** The peer's address as text; empty when the connection is gone. */
	remoteAddress(): ArrayBuffer;
	/** Ends the answer after the parts written so far. */
	close(): void;
	/** Closes the connection at once. Waiting parts are lost. */
	cut(): void;
}

/** The start of an answer in parts. */
export interface StreamStart {
	/** Content-Type. */
	readonly type: string;
	/**
	 * Written after some seconds without another part, so that the connection does not look idle and a lost client is noticed. Clients must ignore
	 * it. Absent = the caller does this itself.
	 */
	readonly idlePart?: string;
	readonly headers?: Readonly<Record<string, string>>;
	/** Called when the head was sent. */
	opened(stream: ReplyStream): void;
	/** Called once when the stream has ended, whichever side ended it, or could not be opened. */
	closed(): void;
	/** Called when some of the waiting bytes were written. */
	writable?(): void;
}

/** Paths of streams that stay open. The balancer counts them like WebSockets, before the shard does. All begin with the prefix that it looks for. */
export const streamPaths = [
	"/connection/http_stream",
	"/connection/sse",
	"/connection/uni_http_stream",
	"/connection/uni_sse",
] as const satisfies readonly `/connection/${string}`[];
export type StreamPath = (typeof streamPaths)[number];
