import { readdirSync, readFileSync, statSync } from "node:fs";

/** Limits on open files and sockets of a process; Infinity = no limit. */
interface OpenFilesLimit {
	/** The limit in effect. Node raises it to the hard limit when it starts, here and in every child. */
	readonly soft: number;
	readonly hard: number;
}

/** This process's limits; null where they are not available, that is, outside Linux. */
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

/** Used when the limit cannot be read: the default of Linux. */
const usualOpenFiles = 1024;

/** How many descriptors this process may have open. */
export function descriptorsMax(): number {
	return openFilesLimit()?.soft ?? usualOpenFiles;
}

function amount(text: string): number {
	return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}

/**
 * Descriptors that a shard reserves for uses other than clients: about 40 for rings, bells, pipes and threads, 64 for short requests, 64 for a
 * batch being handed over, and the rest for files and connections to Kafka.
 */
export const reservedDescriptors = 200;

/** Most clients of a shard with this limit of open files, at least 1; Infinity if there is no limit or it is unknown. */
export function clientsThatFit(limit: OpenFilesLimit | null = openFilesLimit()): number {
	return limit === null ? Number.POSITIVE_INFINITY : Math.max(1, limit.soft - reservedDescriptors);
}

/**
 * Number of open descriptors of this process; null if unknown. Linux 6.2 and later report it as the directory's size, which needs no descriptor.
 * Older kernels need a listing, which takes a descriptor, and long with 10,000 of them.
 */
export function openFiles(folder = "/proc/self/fd"): number | null {
	try {
		return statSync(folder).size || readdirSync(folder).length;
	} catch {
		return null;
	}
}

/** Looks between listings, where the kernel only offers these. */
const listedEvery = 10;

/** Counts the open descriptors of this process again and again, about once a second, at little cost also with an old kernel. One per process. */
export class OpenFilesMeter {
	#looks = 0;
	#listed: number | null = null;
	readonly #folder: string;

	constructor(folder = "/proc/self/fd") {
		this.#folder = folder;
	}

	/** Null if unknown. Never throws. With an old kernel, as of up to ten calls ago. */
	read(): number | null {
		try {
			const { size } = statSync(this.#folder);
			if (size > 0) return size;
			if (this.#looks++ % listedEvery === 0) this.#listed = readdirSync(this.#folder).length;
			return this.#listed;
		} catch {
			return null;
		}
	}
}
