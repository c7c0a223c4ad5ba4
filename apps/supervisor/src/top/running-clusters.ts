import { readdirSync } from "node:fs";
import { join } from "node:path";
import { StartupError } from "@shardcast/service";

export interface RunningCluster {
	readonly supervisorPid: number;
	/** Its cluster directory. */
	readonly path: string;
}

/** The clusters that run on this machine and whose directories this user may read. */
export function runningClusters(base: string): RunningCluster[] {
	const found: RunningCluster[] = [];
	for (const name of namesIn(base)) {
		const match = /^shardcast-\d+-(\d+)-[0-9a-f]+$/.exec(name);
		if (match !== null && isAlive(Number(match[1]))) found.push({ supervisorPid: Number(match[1]), path: join(base, name) });
	}
	return found;
}

/**
 * The one cluster to look at.
 * @throws StartupError when there is none, or several and no pid says which.
 */
export function chooseCluster(clusters: readonly RunningCluster[], base: string, pid: string | undefined): RunningCluster {
	if (pid !== undefined) {
		const chosen = clusters.find(({ supervisorPid }) => String(supervisorPid) === pid);
		if (chosen !== undefined) return chosen;
		const others = clusters.length === 0 ? "none runs" : `running: ${listed(clusters)}`;
		throw new StartupError(`--pid: no cluster has the supervisor ${pid}; ${others}`, { flag: "--pid" });
	}
	if (clusters.length === 1) return clusters[0];
	if (clusters.length > 1)
		throw new StartupError(`${clusters.length} clusters run; choose one with --pid ${listed(clusters, " or ")}`, { flag: "--pid" });
	throw new StartupError(`no cluster runs in ${base}; start one with \`shardcast multi\``, { exitStatus: 1 });
}

function listed(clusters: readonly RunningCluster[], separator = ", "): string {
	return clusters.map(({ supervisorPid }) => supervisorPid).join(separator);
}

function namesIn(base: string): string[] {
	try {
		return readdirSync(base);
	} catch {
		return [];
	}
}

function isAlive(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (error) {
		// Another user's.
		return (error as NodeJS.ErrnoException).code === "EPERM";
	}
}
