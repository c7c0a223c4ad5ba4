/** Whether the error is from a system call: a NativeError, or an error of Node's file functions. */
export function isSystemError(error: unknown): error is Error {
	return error instanceof Error && "syscall" in error;
}
