/** Why a ring refused. A full ring is no error: `claim` answers -1. */
export const RingErrorCode = {
	/** Sizes or slots that no ring can have. */
	badArgument: "RING_BAD_ARGUMENT",
	/** The memory holds no ring, a ring of another version, or half a ring. */
	notARing: "RING_NOT_A_RING",
	/** A record longer than `recordBytesMax`: it could never be written, however long the writer waits. */
	recordTooLong: "RING_RECORD_TOO_LONG",
	/** What lies in shared memory contradicts itself; nothing was read from it. */
	corrupt: "RING_CORRUPT",
	/** A call at a time when it makes no sense: a commit without a claim, a read within a read. */
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
