/**
 * WebSocket close codes that shardcast sends. After 3000–3499 the client should reconnect, after 3500–3999 it should not
 * (Centrifuge client protocol); 1001–1013 are from RFC 6455 and the IANA registry.
 */
export const CloseCode = {
	/** The shard is draining, and the client does not use the Centrifuge protocol: reconnect at once, to another shard. */
	goingAway: 1001,
	/** The client sent a message that its channels do not accept (`publication_data_format`). */
	invalidMessage: 1007,
	/** The client sent more messages per second than `--message-rate` allows. */
	policyViolation: 1008,
	/** A frame was longer than `--max-payload`. */
	messageTooBig: 1009,
	/** A bug in the server while it handled this client. See the log. */
	internalError: 1011,
	/** Other nodes, or other shards of the node, have room: reconnect after a short random pause, to what the balancer or `/cluster/select` chooses. */
	connectAgain: 1012,
	/** The bus stayed full for longer than this client's message could be held: reconnect later. */
	tryAgainLater: 1013,
	/** The client read more slowly than `--max-buffered` allows. */
	slow: 3008,
	/** The client sent a message although clients may only receive (`--client-publish`). It should not reconnect unchanged. */
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
	[CloseCode.connectAgain]: "connect again: others have room",
	[CloseCode.tryAgainLater]: "try again later",
	[CloseCode.slow]: "slow",
	[CloseCode.receiveOnly]: "clients only receive here; publish over HTTP",
};

/**
 * The rate at which clients are told to reconnect, so that no more than `perSecond` do so in any second: four fifths of it. Their own delays bunch them, so at
 * the full rate some seconds would see more.
 */
export function toldPerSecond(perSecond: number): number {
	return perSecond * 0.8;
}

/** The same in whole clients, for those who ask some each second. At least one, or it would never end. */
export function toldEachSecond(perSecond: number): number {
	return Math.max(1, Math.floor(toldPerSecond(perSecond)));
}
