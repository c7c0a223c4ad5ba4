import { StartupError } from "./startup-error.ts";

/** As node:net takes it; no host = every address of the machine. */
interface ListenAddress {
	readonly host?: string | undefined;
	readonly port: number;
}

/** What is wrong with the port. */
const portFixes: Readonly<Record<string, string>> = {
	EADDRINUSE: "is taken; choose another or stop the program that has it",
	EACCES: "may not be used by this user; choose one above 1023 or grant CAP_NET_BIND_SERVICE",
};

/** What is wrong with the address, whatever the port. */
const addressFixes: Readonly<Record<string, (host: string) => string>> = {
	EADDRNOTAVAIL: (host) => `this machine has no address ${host}; name one that it has`,
	ENOTFOUND: (host) => `the host name ${host} is not known; name an address of this machine`,
};

/** Why that address cannot be listened on, and what to do, in one line. `code`: the system error's, such as EADDRINUSE. */
export function listenProblem(code: string, { host, port }: ListenAddress): string {
	return addressFixes[code]?.(host ?? "::") ?? `port ${port} ${portFixes[code] ?? `can't be listened on (${code}); choose another`}`;
}

/** The same as an error that names the flag which chose the address; an error that is not the system's stays as it is. */
export function cannotListen(error: unknown, address: ListenAddress, flag: string): unknown {
	const { code } = error as NodeJS.ErrnoException;
	if (code === undefined) return error;
	return new StartupError(`${flag}: ${listenProblem(code, address)}`, { flag, cause: error });
}
