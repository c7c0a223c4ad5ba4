import { readFileSync } from "node:fs";
import { StartupError } from "@shardcast/process";
import type { FoundCluster, RunningClusters } from "@shardcast/scoreboard";

/**
 * Chooses the cluster to show.
 * @param titleOf the title of a process; "" = it cannot be known.
 * @throws StartupError when this user has none, or several and no pid is given.
 */
export function chooseCluster(
	{ own, others }: RunningClusters,
	base: string,
	pid: string | undefined,
	titleOf: (pid: string) => string = processTitle,
): FoundCluster {
	if (pid !== undefined) {
		const chosen = own.find(({ supervisorPid }) => String(supervisorPid) === pid);
		if (chosen !== undefined) return chosen;
		const other = others.find(({ supervisorPid }) => String(supervisorPid) === pid);
		if (other !== undefined) throw new StartupError(`--pid: the cluster ${pid} ${whose(other)}`, { flag: "--pid" });
		if (titleOf(pid) === "shardcast gateway") {
			const why = `the process ${pid} is a gateway without --shards: it takes no orders, and top cannot show it`;
			throw new StartupError(`--pid: ${why}; look at its /health, or start it with --shards 2 or more`, { flag: "--pid" });
		}
		const running = own.length === 0 ? "none runs" : `running: ${listed(own)}`;
		throw new StartupError(`--pid: no cluster has the supervisor ${pid}; ${running}`, { flag: "--pid" });
	}
	if (own.length === 1) return own[0];
	if (own.length > 1) throw new StartupError(`${own.length} clusters run; choose one with --pid ${listed(own, " or ")}`, { flag: "--pid" });
	if (others.length > 0) throw new StartupError(`no cluster of this user runs in ${base}; one ${whose(others[0])}`, { exitStatus: 1 });
	throw new StartupError(`no cluster runs in ${base}; start one with \`shardcast multi\``, { exitStatus: 1 });
}

function processTitle(pid: string): string {
	if (!/^\d+$/.test(pid)) return "";
	try {
		return readFileSync(`/proc/${pid}/cmdline`, "latin1").replace(/[\0 ]+$/, "");
	} catch {
		// It has ended, or this is no Linux.
		return "";
	}
}

/** Files of other users are not trusted, not even by root. */
function whose({ uid }: FoundCluster): string {
	return `belongs to user ${uid}; look at it as that user, such as with sudo -u '#${uid}' shardcast top`;
}

function listed(clusters: readonly FoundCluster[], separator = ", "): string {
	return clusters.map(({ supervisorPid }) => supervisorPid).join(separator);
}
