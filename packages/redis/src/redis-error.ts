/**
 * - unavailable: Redis could not be reached, or was not ready, so the command was **not** executed. It can be sent again.
 * - interrupted: the connection broke, or no reply came in time. The command may have been executed.
 * - refused: Redis replied with an error.
 * - full: too many commands are waiting; this one was not sent.
 * - login: Redis refused the credentials.
 * - unsuitable: the server is too old, or it is a cluster where a single server is configured or the reverse.
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
