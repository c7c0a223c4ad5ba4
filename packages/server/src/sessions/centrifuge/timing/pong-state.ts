/** Whether a client owes a pong. A ping of the protocol is a message, so it is behind everything that waits for the client. */
export const PongState = {
	none: 0,
	/** It has not answered the last ping yet. */
	awaited: 1,
	/** Like `awaited`, but the client has read something since the last check, so it is alive. */
	reading: 2,
} as const;
export type PongState = (typeof PongState)[keyof typeof PongState];
