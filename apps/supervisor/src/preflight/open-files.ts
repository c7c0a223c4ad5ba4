import { openFilesLimit } from "@shardcast/service";

/** Descriptors of a process beside its connections: files, pipes, rings, the listener, requests that come and go. */
const otherFiles = 200;

export interface FilesWanted {
	/** Of the cluster. */
	readonly connections: number;
	readonly connectionsPerShard: number;
	readonly mode: "handoff" | "proxy";
}

/** A warning for each kind of process that may run out of descriptors before the cluster is full. */
export function openFilesWarnings(wanted: FilesWanted, limitsPath?: string): string[] {
	// Node raises its own limit to the hard one when it starts, and so will the children.
	const most = openFilesLimit(limitsPath)?.hard ?? Number.POSITIVE_INFINITY;
	const warnings: string[] = [];
	const check = (needed: number, who: string, orElse: string): void => {
		if (needed <= most) return;
		warnings.push(`a process may open ${most} files, and ${who} needs ${needed}; raise it (ulimit -n, LimitNOFILE=) or ${orElse}`);
	};
	const { connections, connectionsPerShard, mode } = wanted;
	check(connectionsPerShard + otherFiles, `a shard with ${connectionsPerShard} connections`, "give more --shards");
	if (mode === "proxy") {
		const fits = Math.max(0, Math.floor((most - otherFiles) / 2));
		const who = `the balancer, which in proxy mode holds both ends of ${connections} connections,`;
		check(2 * connections + otherFiles, who, `lower --max-connections to ${fits}: from there on it answers 503`);
	}
	return warnings;
}
