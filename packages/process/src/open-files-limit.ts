import { readdirSync, readFileSync, statSync } from "node:fs";

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

/**
 * Descriptors that a shard keeps for what is not a client: about 40 for its rings, bells, pipes and threads, 64 for requests that come and
 * go, 64 for a batch that is handed over just then, the rest for files and for connections to Kafka.
 */
export const reservedDescriptors = 200;

/** Clients that a shard can have with this limit of open files, at least 1; Infinity where there is no limit or the kernel does not tell. */
export function clientsThatFit(limit: OpenFilesLimit | null = openFilesLimit()): number {
	return limit === null ? Number.POSITIVE_INFINITY : Math.max(1, limit.soft - reservedDescriptors);
}

/**
 * Descriptors that this process has open; null where the kernel does not tell. Linux 6.2 and later count them in the directory's size,
 * which takes no descriptor; before that they are listed, which takes one and long with 10,000 of them.
 */
export function openFiles(folder = "/proc/self/fd"): number | null {
	try {
		return statSync(folder).size || readdirSync(folder).length;
	} catch {
		return null;
	}
}
