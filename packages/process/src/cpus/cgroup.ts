import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { parseCpuList } from "./cpu-list.ts";

/** Limits of control groups on this process; null = no limit. */
interface CgroupLimits {
	/** Quota in CPUs, such as 1.5. */
	readonly quota: number | null;
	readonly cpus: readonly number[] | null;
	/** "cgroup v1" or "cgroup v2": the source of the quota, or else of the CPUs; null = neither. */
	readonly source: string | null;
}

interface Hierarchy {
	/** Mount point, and path of this process's group in it. */
	readonly mount: string;
	readonly group: string;
}

/**
 * Reads the limits of this process's group and of all its parents, whose limits apply too, in versions 2 and 1. Inside a container the path of the
 * group is often not visible, since the container sees its group as the root of the mount: missing folders are skipped.
 */
export function cgroupLimits(root: string): CgroupLimits {
	const groups = groupsOfSelf(root);
	const unified = groups.get("");
	const v2 = unified === undefined ? [] : chain(hierarchy(root, ["", "unified"], unified, "cgroup.controllers"));
	const v1 = (controller: string, mounts: readonly string[], file: string): string[] => {
		const group = groups.get(controller);
		return group === undefined ? [] : chain(hierarchy(root, mounts, group, file));
	};

	const quotaV2 = smallest(v2.map((folder) => quotaV2At(folder)));
	const quotaV1 = smallest(v1("cpu", ["cpu", "cpu,cpuacct", "cpuacct,cpu"], "cpu.cfs_quota_us").map((folder) => quotaV1At(folder)));
	const cpusV2 = firstList(v2, ["cpuset.cpus.effective"]);
	const cpusV1 = firstList(v1("cpuset", ["cpuset"], "cpuset.cpus"), ["cpuset.effective_cpus", "cpuset.cpus"]);

	const binding = quotaV2 !== null || quotaV1 !== null ? quotaV2 !== null : cpusV2 !== null;
	const any = quotaV2 !== null || quotaV1 !== null || cpusV2 !== null || cpusV1 !== null;
	return { quota: smallest([quotaV2, quotaV1]), cpus: cpusV2 ?? cpusV1, source: any ? (binding ? "cgroup v2" : "cgroup v1") : null };
}

/** Paths by controller from /proc/self/cgroup, with lines `id:controllers:path`. Version 2 has no controllers, so its key is "". */
function groupsOfSelf(root: string): Map<string, string> {
	const groups = new Map<string, string>();
	for (const line of (read(join(root, "proc/self/cgroup")) ?? "").split("\n")) {
		const match = /^\d+:([^:]*):(.*)$/.exec(line);
		if (match === null) continue;
		for (const controller of match[1].split(",")) groups.set(controller, match[2]);
	}
	return groups;
}

function hierarchy(root: string, mounts: readonly string[], group: string, marker: string): Hierarchy | null {
	for (const name of mounts) {
		const mount = join(root, "sys/fs/cgroup", name);
		// In version 1 a root group has no quota file, so its folder is enough.
		if (existsSync(join(mount, marker)) || (name !== "" && existsSync(mount))) return { mount, group };
	}
	return null;
}

/** Folders of the group and of its parents, innermost first. */
function chain(found: Hierarchy | null): string[] {
	if (found === null) return [];
	const folders: string[] = [];
	// "/../x" means a group that this container cannot see.
	for (let group = join("/", found.group); ; group = dirname(group)) {
		folders.push(join(found.mount, group));
		if (group === "/") return folders;
	}
}

/** cpu.max: "150000 100000" or "max 100000". */
function quotaV2At(folder: string): number | null {
	const [quota, period] = (read(join(folder, "cpu.max")) ?? "").trim().split(/\s+/);
	return ratio(quota, period ?? "100000");
}

/** cpu.cfs_quota_us is -1 for no limit. */
function quotaV1At(folder: string): number | null {
	return ratio(read(join(folder, "cpu.cfs_quota_us"))?.trim(), read(join(folder, "cpu.cfs_period_us"))?.trim() ?? "100000");
}

function ratio(quota: string | undefined, period: string): number | null {
	const value = Number(quota) / Number(period);
	return Number.isFinite(value) && value > 0 ? value : null;
}

function firstList(folders: readonly string[], names: readonly string[]): readonly number[] | null {
	for (const folder of folders) {
		for (const name of names) {
			const text = read(join(folder, name))?.trim();
			if (text) return parseCpuList(text);
		}
	}
	return null;
}

function smallest(quotas: readonly (number | null)[]): number | null {
	const limits = quotas.filter((quota) => quota !== null);
	return limits.length === 0 ? null : Math.min(...limits);
}

/** Undefined if the file does not exist, which depends on the kernel and the container. */
function read(path: string): string | undefined {
	try {
		return readFileSync(path, "utf8");
	} catch {
		return undefined;
	}
}
