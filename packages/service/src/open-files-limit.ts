import { readFileSync } from "node:fs";

/** How many files and sockets a process may have open at once; Infinity = no limit. */
export interface OpenFilesLimit {
	/** The one in force. Node raises it to the hard one when it starts, here and in every child. */
	readonly soft: number;
	readonly hard: number;
}

/** This process's limit; null where the kernel does not tell, which is anywhere but on Linux. */
export function openFilesLimit(limitsPath = "/proc/self/limits"): OpenFilesLimit | null {
	let limits: string;
	try {
		limits = readFileSync(limitsPath, "latin1");
	} catch {
		return null;
	}
	const [, soft, hard] = /^Max open files\s+(\S+)\s+(\S+)/m.exec(limits) ?? [];
	return soft === undefined || hard === undefined ? null : { soft: amount(soft), hard: amount(hard) };
}

function amount(text: string): number {
	return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}
