/**
 * Why a process cannot start, in one line that names the option and the fix. Exit status 2 if another option value would fix it, otherwise 1.
 */
export class StartupError extends Error {
	readonly exitStatus: number;
	/** The flag to change, such as "--lb-addr", when there is one. */
	readonly flag: string | undefined;

	constructor(message: string, options: { exitStatus?: number; flag?: string; cause?: unknown } = {}) {
		super(message, options.cause === undefined ? undefined : { cause: options.cause });
		this.name = "StartupError";
		this.exitStatus = options.exitStatus ?? (options.flag === undefined ? 1 : 2);
		this.flag = options.flag;
	}
}
