import { join } from "node:path";
import { CgroupFolders, readText } from "../cgroup-folders.ts";

export interface MemoryUse {
	/** Without caches of files, which the kernel gives up when memory is short. */
	readonly usedBytes: number;
	readonly limitBytes: number;
	readonly source: "cgroup v2" | "cgroup v1" | "machine";
}

/** Version 1 writes "no limit" as the largest multiple of a page, version 2 as "max". */
const unlimitedBytes = 2 ** 60;

/**
 * How much memory may be used, and how much is: by this process's control group or the parent that is closest to its limit, or by the machine where
 * no group has one. Inactive caches of files do not count, as in Kubernetes. Shared memory does. Reads some small files of the kernel.
 * @param root replaces "/" in tests. @returns null if the kernel does not tell. Never throws.
 */
export function memoryUse(root = "/"): MemoryUse | null {
	const folders = new CgroupFolders(root);
	const found = [
		...folders.v2.map((folder) => useAt(folder, v2Files)),
		...folders.v1("memory", ["memory"], "memory.usage_in_bytes").map((folder) => useAt(folder, v1Files)),
	].filter((use) => use !== null);
	const machine = useOfMachine(root);
	// A limit above the machine's memory limits nothing.
	const limits = found.filter(({ limitBytes }) => machine === null || limitBytes < machine.limitBytes);
	if (limits.length === 0) return machine;
	return limits.reduce((closest, use) => (shareOf(use) > shareOf(closest) ? use : closest));
}

interface Files {
	/** The lowest counts. */
	readonly limits: readonly string[];
	readonly used: string;
	/** The line of memory.stat with the caches; it includes those of the groups below. */
	readonly caches: RegExp;
	readonly source: MemoryUse["source"];
}

const v2Files: Files = {
	// Beyond memory.high the kernel holds up the processes so much that they hardly ever reach memory.max.
	limits: ["memory.max", "memory.high"],
	used: "memory.current",
	caches: /^inactive_file (\d+)$/m,
	source: "cgroup v2",
};
const v1Files: Files = {
	limits: ["memory.limit_in_bytes"],
	used: "memory.usage_in_bytes",
	caches: /^total_inactive_file (\d+)$/m,
	source: "cgroup v1",
};

function useAt(folder: string, { limits, used, caches, source }: Files): MemoryUse | null {
	const limitBytes = Math.min(...limits.map((limit) => bytesIn(readText(join(folder, limit))) ?? Number.POSITIVE_INFINITY));
	const currentBytes = bytesIn(readText(join(folder, used)));
	if (limitBytes === 0 || limitBytes >= unlimitedBytes || currentBytes === null) return null;
	const cachedBytes = Number(caches.exec(readText(join(folder, "memory.stat")) ?? "")?.[1] ?? 0);
	return { usedBytes: Math.max(0, currentBytes - cachedBytes), limitBytes, source };
}

/** MemAvailable is the kernel's own estimate of what programs can still get. */
function useOfMachine(root: string): MemoryUse | null {
	const text = readText(join(root, "proc/meminfo")) ?? "";
	const bytesOf = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text)?.[1] ?? Number.NaN) * 1024;
	const limitBytes = bytesOf("MemTotal");
	const usedBytes = limitBytes - bytesOf("MemAvailable");
	return limitBytes > 0 && usedBytes >= 0 ? { usedBytes, limitBytes, source: "machine" } : null;
}

/** Null for "max", and for what is no number. */
function bytesIn(text: string | undefined): number | null {
	return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : null;
}

function shareOf({ usedBytes, limitBytes }: MemoryUse): number {
	return usedBytes / limitBytes;
}
