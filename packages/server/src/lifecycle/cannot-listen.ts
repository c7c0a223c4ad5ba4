import { StartupError } from "@shardcast/process";

/** Why a port cannot be listened on, as one line that names the flag; any other error as it is. */
export function cannotListen(error: unknown, address: string, flag: string): unknown {
	const fix = fixes[(error as NodeJS.ErrnoException).code ?? ""];
	return fix === undefined ? error : new StartupError(`${flag}: ${address} ${fix}`, { flag, cause: error });
}

const fixes: Readonly<Record<string, string>> = {
	EADDRINUSE: "is taken by another program; choose another port",
	EACCES: "may not be listened on by this user; choose a port from 1024 on",
	EADDRNOTAVAIL: "is no address of this machine",
	ENOTFOUND: "is no address of this machine",
};
