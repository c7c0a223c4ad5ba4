import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { allowedCpus, type Cluster, describeExit, startCluster } from "@shardcast/testkit";
import { Servers } from "../../servers.ts";
import { parseTarget } from "../../target.ts";
import { benchShards, type Subject } from "../support/subject.ts";

/** A cluster as the command line says. */
export interface FlaggedCluster {
	/** The usual number of a bench when not given. */
	readonly shards?: number;
	readonly flags?: readonly string[];
	/** Started without taskset, so that the kernel moves the shards as it likes. */
	readonly unpinned?: boolean;
	/** For its processes, on top of the bench's own. */
	readonly env?: Readonly<Record<string, string>>;
}

/** Supervisor and balancer. */
const otherProcesses = 2;

export async function startClusterWithFlags({
	shards = benchShards,
	flags = [],
	unpinned = false,
	env = {},
}: FlaggedCluster): Promise<Subject & { readonly cluster: Cluster }> {
	const cluster = await startCluster({ shards, flags, env: { ...env, ...(unpinned ? { PATH: pathWithoutTaskset() } : {}) } });
	const target = parseTarget(cluster.url);
	const servers = await Servers.find(target.httpUrl);
	// With a process missing, the variant would seem to use less CPU than it does.
	if (servers.processes.length !== shards + otherProcesses)
		throw new Error(`found ${servers.processes.length} of ${shards + otherProcesses} processes of the cluster`);
	// The variant must be what it is called.
	if (unpinned && servers.processes.some(({ name, pid }) => name.startsWith("shard ") && /^\d+$/.test(allowedCpus(pid))))
		throw new Error("the shards are pinned although taskset was hidden from them, or there is only one CPU");
	const stop = async (): Promise<void> => {
		const status = await cluster.stop();
		if (status.code !== 0) throw new Error(`the cluster ended with ${describeExit(status)}\n${cluster.log()}`);
	};
	return { target, servers, cluster, stop };
}

function pathWithoutTaskset(): string {
	const folders = (process.env.PATH ?? "").split(delimiter);
	return folders.filter((folder) => !existsSync(join(folder, "taskset"))).join(delimiter);
}
