import { CodedError } from "@shardcast/wire";

/** Codes of permanent errors. A full log is not an error. */
export const LogErrorCode = {
	/** Invalid sizes, or a slot out of range. */
	badArgument: "LOG_BAD_ARGUMENT",
	/** The memory has no log, an incomplete one, or one of another version. */
	notALog: "LOG_NOT_A_LOG",
	/** The contents of shared memory are inconsistent. */
	corrupt: "LOG_CORRUPT",
	/** A call that is not allowed at this time. */
	misuse: "LOG_MISUSE",
} as const;
export type LogErrorCode = (typeof LogErrorCode)[keyof typeof LogErrorCode];

export class LogError extends CodedError<LogErrorCode> {
	override readonly name = "LogError";
}
