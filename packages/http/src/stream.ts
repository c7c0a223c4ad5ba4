/** An answer that comes in parts, such as server-sent events. One owner, the loop that serves the connection. */
export interface ReplyStream {
	/**
	 * Sends a part, or keeps it until the client has read what came before. What is written in one turn of the loop leaves together at its end.
	 * The part's bytes may be reused when this returns. Whoever writes bounds what is kept. Nothing happens once the stream is over.
	 * @returns bytes that wait because the client does not read them fast enough, 0 = none.
	 */
	write(part: string | Uint8Array): number;
	/** The same number; up to some tens of KB of what the client has not read are not in it. */
	readonly bufferedBytes: number;
	/** The address at the other end as text; empty once the connection is gone. */
	remoteAddress(): ArrayBuffer;
	/** Ends the answer behind what was written. */
	close(): void;
	/** Cuts the connection: what waits is lost. */
	cut(): void;
}

/** How an answer in parts begins. */
export interface StreamStart {
	/** Content-Type. */
	readonly type: string;
	/**
	 * Written when nothing else has been for some seconds: no part may be lost to it. It keeps the connection from being taken for idle, and
	 * finds out whether the client is still there. Absent = whoever writes takes care of that.
	 */
	readonly idlePart?: string;
	readonly headers?: Readonly<Record<string, string>>;
	/** The head is on its way. */
	opened(stream: ReplyStream): void;
	/** The stream is over, whichever side ended it, or could not be opened. Called once. */
	closed(): void;
	/** Some of what waited has been written. */
	writable?(): void;
}
