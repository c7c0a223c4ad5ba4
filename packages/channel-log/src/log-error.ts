/** Why a log refused for good. A log that is full is no error. */
export const LogErrorCode = {
	/** Sizes that no log can have, or a slot outside of it. */
	badArgument: "LOG_BAD_ARGUMENT",
	/** The memory holds no log, a log of another version, or half a log. */
	notALog: "LOG_NOT_A_LOG",
	/** What lies in shared memory contradicts itself. */
	corrupt: "LOG_CORRUPT",
	/** A call at a time when it makes no sense. */
	misuse: "LOG_MISUSE",
} as const;
export type LogErrorCode = (typeof LogErrorCode)[keyof typeof LogErrorCode];

/** `message` says what is wrong and how to fix it; `code` is for programs. */
export class LogError extends Error {
	override readonly name = "LogError";
	readonly code: LogErrorCode;
	readonly fix: string;

	constructor(code: LogErrorCode, what: string, fix: string) {
		super(`${what}: ${fix}`);
		this.code = code;
		this.fix = fix;
	}
}
