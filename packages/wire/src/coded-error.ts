/**
 * An error in shared memory or its use. `message` says what is wrong and how to fix it; `code` is for programs. `RingError` is the same but
 * separate, because `packages/ring` imports no other package.
 */
export abstract class CodedError<Code extends string> extends Error {
	readonly code: Code;
	readonly fix: string;

	constructor(code: Code, what: string, fix: string) {
		super(`${what}: ${fix}`);
		this.code = code;
		this.fix = fix;
	}
}
