/** For people: why a connection could not be opened. */
export function dialProblem({ code, message }: NodeJS.ErrnoException): string {
	if (code === "ENOTFOUND" || code === "EAI_AGAIN") return `the name cannot be resolved: ${code}`;
	return `${code ?? message}; does it run, and listen at this address?`;
}
