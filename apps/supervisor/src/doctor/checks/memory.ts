import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type Config, formatBytes, type NameOf, ringCapacityBytes } from "@shardcast/config";
import { ClusterDirectory } from "@shardcast/scoreboard";
import { sharedMemoryProblem, sharedMemoryWarnings } from "../../preflight/shared-memory.ts";
import { type Finding, fromLine, ok, problem, type Subject, warning } from "../finding.ts";
import type { Machine } from "../machine.ts";

const shared: Subject = {
	id: "shared-memory",
	area: "memory",
	why: "rings and the history of channels are files in memory; where they do not fit, the start refuses",
};
const leftovers: Subject = {
	id: "leftovers",
	area: "memory",
	why: "what a killed cluster leaves takes up shared memory until the next start removes it",
};
const resident: Subject = {
	id: "memory",
	area: "memory",
	why: "when memory runs out, the kernel kills a process, and its clients connect again all at once",
};

/** Of an idle process, as docs/how-to/sharding.md says, rounded up. */
const processBytes = 80 * 1024 * 1024;

export function memoryFindings(machine: Machine, config: Config, shards: number, name: NameOf): Finding[] {
	// A cluster that runs here has what one with these options would take: in a container, nearly all that there is.
	const line = sharedMemoryProblem(config, shards, name, { freedBytes: runningBytes(config.clusterDirectory) });
	const where = config.clusterDirectory;
	return [
		line === null ? ok(shared, `${where} has room for ${shards} rings and the history`) : fromLine(shared, "problem", line),
		...(line === null
			? sharedMemoryWarnings(config, name).map((text) => fromLine({ ...shared, id: "shared-memory-mode" }, "warning", text))
			: []),
		dead(where),
		processes(machine, config, shards),
	];
}

/** Shared memory that this user's running clusters have taken; 0 where it cannot be read. */
export function runningBytes(where: string): number {
	const bytesOf = (path: string): number => (lstatSync(path, { throwIfNoEntry: false })?.blocks ?? 0) * 512;
	try {
		const folders = ClusterDirectory.running(where).own.map(({ path }) => path);
		return folders
			.flatMap((folder) => readdirSync(folder).map((file) => bytesOf(join(folder, file))))
			.reduce((sum, bytes) => sum + bytes, 0);
	} catch {
		return 0; // there is no such folder, which is what the finding says, or the cluster has just ended
	}
}

function dead(where: string): Finding {
	const stale = ClusterDirectory.stale(where);
	if (stale.length === 0) return ok(leftovers, `no leftovers of dead clusters in ${where}`);
	return warning(
		leftovers,
		`${stale.length} of dead clusters: ${stale.slice(0, 5).join(", ")}${stale.length > 5 ? ", …" : ""}`,
		`start a cluster, which removes them, or rm -r ${stale.slice(0, 5).join(" ")}`,
	);
}

function processes({ memoryBytes }: Machine, config: Config, shards: number): Finding {
	const needed = (shards + 2) * processBytes + shards * ringCapacityBytes(config) + config.historyMemoryBytes;
	const found = `${formatBytes(mebibytes(memoryBytes))} of memory, of which ${shards + 2} processes, rings and a full history take ${formatBytes(mebibytes(needed))} without clients`;
	if (needed <= memoryBytes / 2) return ok(resident, found);
	const fix = "more memory (docker run --memory, resources.limits.memory), fewer --shards or a smaller --history-memory";
	return needed > memoryBytes ? problem(resident, found, fix) : warning(resident, `${found}: little is left for clients`, fix);
}

const mebibytes = (bytes: number) => Math.round(bytes / 1_048_576) * 1_048_576;
