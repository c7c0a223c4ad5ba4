/**
 * WebSocket close codes that shardcast sends. 3000–3499 invite the client to come back, 3500–3999 tell it not to
 * (Centrifuge client protocol); 1001–1013 are RFC 6455 and the IANA registry.
 */
export const CloseCode = {
	/** The shard is draining and the client speaks no sub-protocol of ours: come back at once, another shard serves. */
	goingAway: 1001,
	/** It sent a message that its channels do not take (`publication_data_format`). */
	invalidMessage: 1007,
	/** It sent more messages per second than `--message-rate` allows. */
	policyViolation: 1008,
	/** A frame was longer than `--max-payload`. */
	messageTooBig: 1009,
	/** The server failed on something that this client did: a defect, which the log describes. */
	internalError: 1011,
	/** The bus stayed full for longer than this client's publish could be held: come back later. */
	tryAgainLater: 1013,
	/** The client read more slowly than `--max-buffered` allows. */
	slow: 3008,
	/** It sent a message though clients may only receive (`--client-publish`). It would be closed again: it should not come back unchanged. */
	receiveOnly: 3507,
} as const;
export type CloseCode = (typeof CloseCode)[keyof typeof CloseCode];

/** One sentence per code, sent as the close reason (≤ 123 bytes) and shown in the docs. */
export const closeReasons: Readonly<Record<CloseCode, string>> = {
	[CloseCode.goingAway]: "shutdown",
	[CloseCode.invalidMessage]: "its channels do not take such a message",
	[CloseCode.policyViolation]: "too many messages",
	[CloseCode.messageTooBig]: "message too big",
	[CloseCode.internalError]: "internal error",
	[CloseCode.tryAgainLater]: "try again later",
	[CloseCode.slow]: "slow",
	[CloseCode.receiveOnly]: "clients only receive here; publish over HTTP",
};
