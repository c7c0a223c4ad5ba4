import { lstatSync } from "node:fs";
import { join } from "node:path";
import type { Config } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import { ClusterDirectory } from "@shardcast/scoreboard";
import { chooseCluster } from "../../top/running-clusters.ts";
import { ExitStatus } from "./exit-status.ts";

/** The socket's name in the folder of its cluster: the socket itself, or a link to it. */
export const adminSocketName = "admin.sock";

/**
 * The path of the socket to ask: the one in the options, or that of the cluster that runs here.
 * @throws StartupError when there is none, or several clusters run and no pid is given.
 */
export function findSocket(
	{ adminSocket, clusterDirectory }: Pick<Config, "adminSocket" | "clusterDirectory">,
	pid: string | undefined,
): string {
	if (adminSocket !== "" && pid === undefined) return adminSocket;
	const { path, supervisorPid } = chosen(clusterDirectory, pid);
	const socket = join(path, adminSocketName);
	if (lstatSync(socket, { throwIfNoEntry: false }) !== undefined) return socket;
	const why = `the cluster of supervisor ${supervisorPid} has no socket ${socket}`;
	throw new StartupError(`${why}: it is starting or stopping, or runs an older build; its log says more`, {
		exitStatus: ExitStatus.unreachable,
	});
}

function chosen(base: string, pid: string | undefined): { readonly path: string; readonly supervisorPid: number } {
	try {
		return chooseCluster(ClusterDirectory.running(base), base, pid);
	} catch (error) {
		if (!(error instanceof StartupError) || error.flag !== undefined) throw error;
		const elsewhere = "; if its folder or socket is elsewhere, give --cluster-directory or --admin-socket";
		throw new StartupError(`${error.message}${elsewhere}`, { exitStatus: ExitStatus.unreachable });
	}
}
