/** An answer that comes in parts, such as server-sent events. One owner, the loop that serves the connection. */
export interface ReplyStream {
	/**
	 * Sends a part, or keeps it until the client has read what came before. Whoever writes bounds what is kept. Nothing happens once it is over.
	 * @returns bytes that wait for the client now, 0 = none.
	 */
	write(part: string | Uint8Array): number;
	/** Bytes that wait for the client: at most so many; some of them may be on their way. */
	readonly bufferedBytes: number;
	/** Ends the answer behind what was written. */
	close(): void;
}

/** How an answer in parts begins. */
export interface StreamStart {
	/** Content-Type. */
	readonly type: string;
	/**
	 * Written when nothing else has been for some seconds: no part may be lost to it. It keeps the connection from being taken for idle, and
	 * finds out whether the client is still there.
	 */
	readonly idlePart: string;
	readonly headers?: Readonly<Record<string, string>>;
	/** The head has been sent. */
	opened(stream: ReplyStream): void;
	/** The stream is over, whichever side ended it. Called once, behind `opened`. */
	closed(): void;
	/** All that waited has been written. */
	writable?(): void;
}
