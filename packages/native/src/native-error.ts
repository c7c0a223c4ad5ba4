import { getSystemErrorMap } from "node:util";

/** How to fix an errno, if possible. One sentence per code. */
const fixes: Readonly<Record<string, string>> = {
	EACCES: "check who owns the file and that all processes of the cluster run as one user",
	ECONNREFUSED: "the process at the other end is gone; send again when it is back",
	ELOOP: "the file is a symbolic link, which clusters do not use; remove it",
	EMFILE: "raise the limit of open files (ulimit -n, LimitNOFILE=)",
	ENAMETOOLONG: "use a shorter --cluster-directory",
	ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
	ENOENT: "the process at the other end has not started yet, or its cluster directory was removed",
	ENOMEM: "give the machine or the container more memory",
	ENOSPC: "free space there, or give it more (docker run --shm-size=…, or mount -o remount,size=… for /dev/shm)",
	EPERM: "allow the call (container security profile) or run as the user who owns the cluster",
};

const descriptions = new Map([...getSystemErrorMap()].map(([number, entry]) => [-number, entry]));

/** An operating system call that failed: which call, why, and what to do about it. */
export class NativeError extends Error {
	readonly code: string;
	readonly syscall: string;
	readonly fix: string;

	constructor(code: string, syscall: string, what: string, fix: string = fixes[code] ?? "") {
		super(`${syscall}: ${what} (${code})${fix === "" ? "" : `: ${fix}`}`);
		this.name = "NativeError";
		this.code = code;
		this.syscall = syscall;
		this.fix = fix;
	}

	/** `subject` is what the call was about: a path, a size. */
	static fromErrno(errno: number, syscall: string, subject = ""): NativeError {
		const [code, description] = descriptions.get(errno) ?? [`errno ${errno}`, "unknown error"];
		return new NativeError(code, syscall, subject === "" ? description : `${subject}: ${description}`);
	}
}

/** Whether a call failed because this process or machine has no free file descriptors. It may succeed later. */
export function isOutOfDescriptors(error: unknown): boolean {
	const code = (error as { readonly code?: unknown } | null)?.code;
	return code === "EMFILE" || code === "ENFILE";
}
