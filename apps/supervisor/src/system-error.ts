/** Of a call of the operating system: a NativeError, or what Node's own file functions throw. */
export function isSystemError(error: unknown): error is Error {
	return error instanceof Error && "syscall" in error;
}
