import { StartupError } from "./startup-error.ts";

/** An address for node:net; no host = all addresses of the machine. */
interface ListenAddress {
	readonly host?: string | undefined;
	readonly port: number;
}

/** Errors of the port. */
const portFixes: Readonly<Record<string, string>> = {
	EADDRINUSE: "is taken; choose another or stop the program that has it",
	EACCES: "may not be used by this user; choose one above 1023 or grant CAP_NET_BIND_SERVICE",
};

/** Errors of the address, whatever the port. */
const addressFixes: Readonly<Record<string, (host: string) => string>> = {
	EADDRNOTAVAIL: (host) => `this machine has no address ${host}; name one that it has`,
	ENOTFOUND: (host) => `the host name ${host} is not known; name an address of this machine`,
};

/** Why the address cannot be used for listening and how to fix it, in one line. @param code of the system error, such as EADDRINUSE. */
export function listenProblem(code: string, { host, port }: ListenAddress): string {
	return addressFixes[code]?.(host ?? "::") ?? `port ${port} ${portFixes[code] ?? `can't be listened on (${code}); choose another`}`;
}

/** Like `listenProblem`, as an error that names the flag. Returns errors that are not system errors unchanged. */
export function cannotListen(error: unknown, address: ListenAddress, flag: string): unknown {
	const { code } = error as NodeJS.ErrnoException;
	if (code === undefined) return error;
	return new StartupError(`${flag}: ${listenProblem(code, address)}`, { flag, cause: error });
}
