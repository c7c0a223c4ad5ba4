import { type Cluster, describeExit, startCluster } from "@shardcast/testkit";
import { Servers } from "../../servers.ts";
import { parseTarget } from "../../target.ts";
import { benchShards, type Subject } from "../subject.ts";

/** A cluster as the command line says, and what else its process is to be given. */
export interface FlaggedCluster {
	/** The usual number of a bench when not given. */
	readonly shards?: number;
	readonly flags?: readonly string[];
	readonly env?: Readonly<Record<string, string>>;
}

/** Supervisor and balancer. */
const otherProcesses = 2;

export async function startFlagged({
	shards = benchShards,
	flags = [],
	env = {},
}: FlaggedCluster): Promise<Subject & { readonly cluster: Cluster }> {
	const cluster = await startCluster({ shards, flags, env });
	const target = parseTarget(cluster.url);
	const servers = await Servers.find(target.httpUrl);
	// A process that is not found would make the variant look cheaper than it is.
	if (servers.processes.length !== shards + otherProcesses)
		throw new Error(`found ${servers.processes.length} of ${shards + otherProcesses} processes of the cluster`);
	const stop = async (): Promise<void> => {
		const status = await cluster.stop();
		if (status.code !== 0) throw new Error(`the cluster ended with ${describeExit(status)}\n${cluster.log()}`);
	};
	return { target, servers, cluster, stop };
}
