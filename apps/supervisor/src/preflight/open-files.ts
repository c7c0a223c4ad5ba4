import type { Workers } from "@shardcast/control";
import { openFilesLimit, reservedDescriptors } from "@shardcast/process";

export interface FilesWanted {
	/** Connections of the whole cluster. */
	readonly connections: number;
	readonly connectionsPerShard: number;
	readonly mode: "handoff" | "proxy";
	/** "shard" if not given. */
	readonly workers?: Workers;
}

/** A warning for each kind of process that may run out of descriptors before the cluster is full. */
export function openFilesWarnings(wanted: FilesWanted, limitsPath?: string): string[] {
	// Node raises its limit to the hard limit when it starts, also in the children.
	const most = openFilesLimit(limitsPath)?.hard ?? Number.POSITIVE_INFINITY;
	const warnings: string[] = [];
	const check = (needed: number, who: string, orElse: string): void => {
		if (needed <= most) return;
		warnings.push(`a process may open ${most} files, and ${who} needs ${needed}; raise it (ulimit -n, LimitNOFILE=) or ${orElse}`);
	};
	const { connections, connectionsPerShard, mode, workers = "shard" } = wanted;
	const worker = workers === "shard" ? "a shard" : "a process of the gateway";
	const clients = Math.max(1, most - reservedDescriptors);
	const orElse = `give more --shards; as it is, each takes ${clients} clients and answers 503 to the others`;
	check(connectionsPerShard + reservedDescriptors, `${worker} with ${connectionsPerShard} connections`, orElse);
	if (mode === "proxy") {
		const fits = Math.max(0, Math.floor((most - reservedDescriptors) / 2));
		const who = `the balancer, which in proxy mode holds both ends of ${connections} connections,`;
		check(
			2 * connections + reservedDescriptors,
			who,
			`lower --max-connections to ${fits}: for more there may be no room, and they are answered 503 or, if they wait, 408`,
		);
	}
	return warnings;
}
