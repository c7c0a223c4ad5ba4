import { readFileSync } from "node:fs";
import { cpus } from "node:os";

/** CPU time used and CPU time available since the same moment, in milliseconds. */
export interface CpuTimes {
	readonly busyMs: number;
	readonly totalMs: number;
}

const cgroupStat = "/sys/fs/cgroup/cpu.stat";

/**
 * CPU times of the cgroup (version 2) in a container with a quota, otherwise of the CPUs that this process may run on. Time of other
 * programs on these CPUs counts as used, since overload affects them too.
 */
export function cpuTimes(available: { readonly cpus: readonly number[]; readonly quota: number | null }): CpuTimes {
	if (available.quota !== null) {
		const used = usedByCgroupMs();
		if (used !== null) return { busyMs: used, totalMs: performance.now() * available.quota };
	}
	const own = cpus().filter((_, index) => available.cpus.includes(index));
	let busyMs = 0;
	let idleMs = 0;
	for (const { times } of own) {
		idleMs += times.idle;
		busyMs += times.user + times.nice + times.sys + times.irq;
	}
	return { busyMs, totalMs: busyMs + idleMs };
}

function usedByCgroupMs(): number | null {
	try {
		const usage = /^usage_usec (\d+)$/m.exec(readFileSync(cgroupStat, "utf8"))?.[1];
		return usage === undefined ? null : Number(usage) / 1000;
	} catch {
		return null; // cgroup version 1, or none: use the times of the CPUs
	}
}
