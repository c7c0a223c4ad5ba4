/**
 * - unavailable: it cannot be reached, or accepts no connections now. Try again.
 * - interrupted: the connection broke, or there was no answer in time. The statement may or may not have been executed.
 * - busy: it gave a statement up, because of a time limit, a full disk, or others that hold a lock. The connection stays. Try again.
 * - refused: it answered with an error.
 * - login: it refused the credentials, or does not have the database.
 * - unsuitable: it is too old, a right is missing, or the tables are those of a newer version.
 */
export type PostgresErrorKind = "unavailable" | "interrupted" | "busy" | "refused" | "login" | "unsuitable";

/** What went wrong with PostgreSQL. Its message never holds a password. */
export class PostgresError extends Error {
	readonly kind: PostgresErrorKind;

	constructor(kind: PostgresErrorKind, message: string, options?: ErrorOptions) {
		super(message, options);
		this.name = "PostgresError";
		this.kind = kind;
	}
}

/** SQLSTATE codes, or their first characters. */
const logins = ["28", "3D000"];
const missingRights = ["42501"];
/** Time limits for statements and locks, deadlocks, transactions that cannot be put in an order, and no space on the disk or in memory. */
const givenUp = ["57014", "55P03", "40", "53100", "53200"];
const passing = ["57P", "53", "08", "25006"];

/** Classifies an error of the driver. @param wasSent whether a statement had been sent. */
export function postgresError(error: unknown, where: string, wasSent: boolean): PostgresError {
	if (error instanceof PostgresError) return error;
	const { code = "", message, severity } = error as { readonly code?: string; readonly message: string; readonly severity?: string };
	const is = (codes: readonly string[]) => codes.some((start) => code.startsWith(start));
	const options = { cause: error };
	if (severity === undefined) {
		if (message.startsWith("SASL")) return new PostgresError("login", `PostgreSQL at ${where} wants a password`, options);
		if (message.includes("does not support SSL"))
			return new PostgresError("unsuitable", `PostgreSQL at ${where} does not accept TLS`, options);
		if (wasSent) return new PostgresError("interrupted", `PostgreSQL at ${where}: ${message}`, options);
		return new PostgresError("unavailable", `PostgreSQL at ${where} is not reached: ${message || code}`, options);
	}
	if (is(logins)) return new PostgresError("login", `PostgreSQL at ${where} refuses the login: ${message}`, options);
	if (is(missingRights)) return new PostgresError("unsuitable", `PostgreSQL at ${where}: ${message}`, options);
	if (is(givenUp)) return new PostgresError("busy", `PostgreSQL at ${where}: ${message}`, options);
	return new PostgresError(is(passing) ? "unavailable" : "refused", `PostgreSQL at ${where}: ${message}`, options);
}
