import { readFileSync } from "node:fs";

/** Descriptors of a process beside its connections: files, pipes, rings, the listener. */
const otherFiles = 200;

/** A warning when a shard may run out of descriptors before it is full; null = it will not. */
export function openFilesWarning(connectionsPerShard: number, limitsPath = "/proc/self/limits"): string | null {
	let limits: string;
	try {
		limits = readFileSync(limitsPath, "utf8");
	} catch {
		// No such limit is known outside of Linux.
		return null;
	}
	// Node raises its own limit to the hard one when it starts, and so will the children.
	const hard = /^Max open files\s+\S+\s+(\d+)/m.exec(limits);
	if (hard === null || Number(hard[1]) >= connectionsPerShard + otherFiles) return null;
	const mend = "raise it (ulimit -n, LimitNOFILE=) or give more --shards";
	return `a process may open ${hard[1]} files, and a shard wants ${connectionsPerShard} connections; ${mend}`;
}
