import { readFileSync } from "node:fs";

/** Where the limit cannot be read: what Linux gives a process by default. */
const usual = 1024;

/** Files and sockets that this process may have open at once (its soft limit, which Node raises to the hard one when it starts). */
export function descriptorLimit(): number {
	let limits: string;
	try {
		limits = readFileSync("/proc/self/limits", "latin1");
	} catch {
		return usual; // no Linux
	}
	const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
	if (soft === "unlimited") return Number.POSITIVE_INFINITY;
	return soft === undefined ? usual : Number(soft);
}
