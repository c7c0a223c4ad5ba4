/** How a request is turned away during a stop, by the balancer and by a shard alike. */
export const shuttingDown = {
	code: "shutting_down",
	message: "this server is shutting down; try again",
	/** By then another one may serve. */
	retryAfterSeconds: 5,
} as const;
