import { join } from "node:path";
import { CgroupFolders, readText } from "../cgroup-folders.ts";
import { readCpuList } from "./cpu-list.ts";

/** Limits of control groups on this process; null = no limit. */
interface CgroupLimits {
	/** Quota in CPUs, such as 1.5. */
	readonly quota: number | null;
	readonly cpus: readonly number[] | null;
	/** "cgroup v1" or "cgroup v2": the source of the quota, or else of the CPUs; null = neither. */
	readonly source: string | null;
}

/**
 * Reads the limits of this process's group and of all its parents, whose limits apply too, in versions 2 and 1. Inside a container the path of the
 * group is often not visible, since the container sees its group as the root of the mount: missing folders are skipped.
 */
export function cgroupLimits(root: string): CgroupLimits {
	const folders = new CgroupFolders(root);
	const { v2 } = folders;

	const quotaV2 = smallest(v2.map((folder) => quotaV2At(folder)));
	const quotaV1 = smallest(folders.v1("cpu", ["cpu", "cpu,cpuacct", "cpuacct,cpu"], "cpu.cfs_quota_us").map((folder) => quotaV1At(folder)));
	const cpusV2 = firstList(v2, ["cpuset.cpus.effective"]);
	const cpusV1 = firstList(folders.v1("cpuset", ["cpuset"], "cpuset.cpus"), ["cpuset.effective_cpus", "cpuset.cpus"]);

	const binding = quotaV2 !== null || quotaV1 !== null ? quotaV2 !== null : cpusV2 !== null;
	const any = quotaV2 !== null || quotaV1 !== null || cpusV2 !== null || cpusV1 !== null;
	return { quota: smallest([quotaV2, quotaV1]), cpus: cpusV2 ?? cpusV1, source: any ? (binding ? "cgroup v2" : "cgroup v1") : null };
}

/** cpu.max: "150000 100000" or "max 100000". */
function quotaV2At(folder: string): number | null {
	const [quota, period] = (readText(join(folder, "cpu.max")) ?? "").trim().split(/\s+/);
	return ratio(quota, period ?? "100000");
}

/** cpu.cfs_quota_us is -1 for no limit. */
function quotaV1At(folder: string): number | null {
	return ratio(readText(join(folder, "cpu.cfs_quota_us"))?.trim(), readText(join(folder, "cpu.cfs_period_us"))?.trim() ?? "100000");
}

function ratio(quota: string | undefined, period: string): number | null {
	const value = Number(quota) / Number(period);
	return Number.isFinite(value) && value > 0 ? value : null;
}

function firstList(folders: readonly string[], names: readonly string[]): readonly number[] | null {
	for (const folder of folders) {
		for (const name of names) {
			const cpus = readCpuList(readText(join(folder, name)) ?? "");
			if (cpus !== null) return cpus;
		}
	}
	return null;
}

function smallest(quotas: readonly (number | null)[]): number | null {
	const limits = quotas.filter((quota) => quota !== null);
	return limits.length === 0 ? null : Math.min(...limits);
}
