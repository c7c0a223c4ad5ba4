import { StartupError } from "./startup-error.ts";

/** Why a port cannot be listened on, as one line that names the flag; what is no error of the system as it is. */
export function cannotListen(error: unknown, address: string, flag: string): unknown {
	const { code, message } = error as NodeJS.ErrnoException;
	if (code === undefined) return error;
	return new StartupError(`${flag}: ${address} ${fixes[code] ?? `can't be listened on (${message}); choose another`}`, {
		flag,
		cause: error,
	});
}

const fixes: Readonly<Record<string, string>> = {
	EADDRINUSE: "is taken by another program; choose another port",
	EACCES: "may not be listened on by this user; choose a port from 1024 on",
	EADDRNOTAVAIL: "is no address of this machine",
	ENOTFOUND: "is no address of this machine",
};
