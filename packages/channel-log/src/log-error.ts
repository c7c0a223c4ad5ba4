import { CodedError } from "@shardcast/wire";

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

export class LogError extends CodedError<LogErrorCode> {
	override readonly name = "LogError";
}
