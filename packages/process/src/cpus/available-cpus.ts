import { readFileSync } from "node:fs";
import { cpus as osCpus } from "node:os";
import { join } from "node:path";
import { cgroupLimits } from "./cgroup.ts";
import { parseCpuList } from "./cpu-list.ts";

export interface AvailableCpus {
	/** CPUs on which this process may run, ascending: affinity and cpuset. */
	readonly cpus: readonly number[];
	/** CPUs' worth of time that the control group grants, such as 1.5; null = no quota. */
	readonly quota: number | null;
	/**
	 * How many processes can run at full speed: the smaller of the two, at least 1. A quota is rounded down: a second process on
	 * half a CPU would be throttled for half of each period, and its clients would see that as latency.
	 */
	readonly count: number;
	/** Where the number comes from, for the banner. */
	readonly source: string;
}

/** @param root stands in for "/" in tests. */
export function availableCpus(root = "/"): AvailableCpus {
	const affinity = affinityOf(join(root, "proc/self/status"));
	const limits = cgroupLimits(root);
	const allowed = affinity ?? osCpus().map((_, cpu) => cpu);
	const within = limits.cpus === null ? allowed : allowed.filter((cpu) => limits.cpus!.includes(cpu));
	// An empty intersection is a cpuset that was numbered by someone else; the kernel's affinity is what counts.
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

/** Cpus_allowed_list of /proc/self/status; null where there is no such thing. */
function affinityOf(path: string): number[] | null {
	let status: string;
	try {
		status = readFileSync(path, "utf8");
	} catch {
		return null;
	}
	const match = /^Cpus_allowed_list:\s*(\S+)/m.exec(status);
	return match === null ? null : parseCpuList(match[1]);
}
