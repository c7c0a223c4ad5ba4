import { readFileSync } from "node:fs";
import { cpus as osCpus } from "node:os";
import { join } from "node:path";
import { cgroupLimits } from "./cgroup.ts";
import { readCpuList } from "./cpu-list.ts";

export interface AvailableCpus {
	/** CPUs on which this process may run, by affinity and cpuset, ascending. */
	readonly cpus: readonly number[];
	/** Quota of the control group in CPUs, such as 1.5; null = no quota. */
	readonly quota: number | null;
	/**
	 * Number of processes that can run at full speed: the smaller of the two, at least 1. A quota is rounded down: a second process on half a CPU
	 * would be throttled for half of each period, which its clients would see as latency.
	 */
	readonly count: number;
	/** Source of the number, for the banner. */
	readonly source: string;
}

/** @param root replaces "/" in tests. */
export function availableCpus(root = "/"): AvailableCpus {
	const affinity = affinityOf(join(root, "proc/self/status"));
	const limits = cgroupLimits(root);
	const allowed = affinity ?? osCpus().map((_, cpu) => cpu);
	const within = limits.cpus === null ? allowed : allowed.filter((cpu) => limits.cpus!.includes(cpu));
	// An empty intersection means that the cpuset uses other numbers. The kernel's affinity decides.
	const cpus = within.length === 0 ? allowed : within;
	const quotaCount = limits.quota === null ? Number.POSITIVE_INFINITY : Math.max(1, Math.floor(limits.quota));
	const count = Math.min(cpus.length, quotaCount);
	const source =
		quotaCount < cpus.length
			? `${limits.source} quota of ${limits.quota} CPUs`
			: affinity === null
				? "CPUs of the machine"
				: "CPU affinity";
	return { cpus, quota: limits.quota, count, source };
}

/** Cpus_allowed_list of /proc/self/status; null if there is none. */
function affinityOf(path: string): number[] | null {
	let status: string;
	try {
		status = readFileSync(path, "utf8");
	} catch {
		return null;
	}
	const match = /^Cpus_allowed_list:\s*(\S+)/m.exec(status);
	return match === null ? null : readCpuList(match[1]);
}
