/** Why the store could not be opened or written. */
export const StoreErrorCode = {
	/** The folder cannot be created or written. */
	folder: "STORE_FOLDER",
	/** The file is not a store, or is incomplete. */
	damaged: "STORE_DAMAGED",
	/** A write failed; nothing of it is in the store. */
	write: "STORE_WRITE",
} as const;
export type StoreErrorCode = (typeof StoreErrorCode)[keyof typeof StoreErrorCode];

/** `message` says what is wrong and how to fix it; `code` is for programs. */
export class StoreError extends Error {
	override readonly name = "StoreError";
	readonly code: StoreErrorCode;

	constructor(code: StoreErrorCode, what: string, fix: string, cause?: unknown) {
		super(`${what}; ${fix}`, { cause });
		this.code = code;
	}
}
