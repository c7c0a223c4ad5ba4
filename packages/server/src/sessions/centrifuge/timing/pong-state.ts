/** What a client owes: a ping of the protocol is a message, so it stands behind all that waits for the client. */
export const PongState = {
	none: 0,
	/** It has not answered the last ping yet. */
	awaited: 1,
	/** As `awaited`, and it has read something since the last look: it is there. */
	reading: 2,
} as const;
export type PongState = (typeof PongState)[keyof typeof PongState];
