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
	const line = sharedMemoryProblem(config, shards, name);
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
