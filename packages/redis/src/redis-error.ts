/**
 * - unavailable: Redis could not be reached, or was not ready, so the command was **not** carried out. It may be sent again.
 * - interrupted: the connection broke, or no answer came in time: the command may have been carried out, or not.
 * - refused: Redis answered with an error.
 * - full: too many commands wait already; this one was not sent.
 * - login: Redis wants other credentials.
 * - unsuitable: it is reached, but it is too old, or a cluster where none is expected, or the other way round.
 * - closed: this client has been closed.
 */
export type RedisErrorKind = "unavailable" | "interrupted" | "refused" | "full" | "login" | "unsuitable" | "closed";

/** What went wrong with Redis. Its message never holds a password. */
export class RedisError extends Error {
	readonly kind: RedisErrorKind;

	constructor(kind: RedisErrorKind, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "RedisError";
		this.kind = kind;
	}
}
