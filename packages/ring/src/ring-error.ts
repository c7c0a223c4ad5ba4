/** Codes of ring errors. A full ring is not an error: `claim` returns -1. */
export const RingErrorCode = {
	/** Invalid sizes or slots. */
	badArgument: "RING_BAD_ARGUMENT",
	/** The memory has no ring, an incomplete one, or one of another version. */
	notARing: "RING_NOT_A_RING",
	/** A record longer than `recordBytesMax`, which can never be written. */
	recordTooLong: "RING_RECORD_TOO_LONG",
	/** The contents of shared memory are inconsistent. Nothing was read. */
	corrupt: "RING_CORRUPT",
	/** A call that is not allowed at this time: a commit without a claim, a read within a read. */
	misuse: "RING_MISUSE",
} as const;
export type RingErrorCode = (typeof RingErrorCode)[keyof typeof RingErrorCode];

/** `message` says what is wrong and how to fix it; `code` is for programs. */
export class RingError extends Error {
	override readonly name = "RingError";
	readonly code: RingErrorCode;
	readonly fix: string;

	constructor(code: RingErrorCode, what: string, fix: string) {
		super(`${what}: ${fix}`);
		this.code = code;
		this.fix = fix;
	}
}
