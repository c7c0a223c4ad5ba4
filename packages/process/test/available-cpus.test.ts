import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { availableCpus } from "../src/cpus/available-cpus.ts";

let root: string;
beforeEach(() => {
	root = mkdtempSync("/tmp/shardcast-cgroup-");
});
afterEach(() => rmSync(root, { recursive: true }));

/** A tree of kernel files; `cpus` is what the kernel says of the process's affinity. */
function tree(cpus: string, files: Readonly<Record<string, string>> = {}): ReturnType<typeof availableCpus> {
	for (const [path, text] of Object.entries({
		"proc/self/status": `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${cpus}\n`,
		...files,
	})) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
	}
	return availableCpus(root);
}

describe("without limits", () => {
	it("takes the affinity", () => {
		expect(tree("0-1,4")).toEqual({ cpus: [0, 1, 4], quota: null, count: 3, source: "CPU affinity" });
	});

	it("takes all CPUs of the machine where the kernel tells nothing", () => {
		expect(availableCpus(join(root, "missing"))).toMatchObject({ quota: null, source: "CPUs of the machine" });
	});

	it("works on this very machine", () => {
		const { cpus, count } = availableCpus();
		expect(count).toBeGreaterThanOrEqual(1);
		expect(cpus.length).toBeGreaterThanOrEqual(count);
	});
});

const v2 = { "proc/self/cgroup": "0::/pod/app\n", "sys/fs/cgroup/cgroup.controllers": "cpu cpuset\n" };

describe("cgroup v2", () => {
	it("takes a quota of 150 % as one CPU: half a CPU would be throttled for half of each period", () => {
		const found = tree("0-3", { ...v2, "sys/fs/cgroup/pod/app/cpu.max": "150000 100000\n" });
		expect(found).toEqual({ cpus: [0, 1, 2, 3], quota: 1.5, count: 1, source: "cgroup v2 quota of 1.5 CPUs" });
	});

	it("never goes below one CPU", () => {
		expect(tree("0-3", { ...v2, "sys/fs/cgroup/pod/app/cpu.max": "20000 100000\n" })).toMatchObject({ quota: 0.2, count: 1 });
	});

	it("finds the quota of a group above its own, and takes the smallest", () => {
		const files = {
			"sys/fs/cgroup/pod/app/cpu.max": "max 100000\n",
			"sys/fs/cgroup/pod/cpu.max": "200000 100000\n",
			"sys/fs/cgroup/cpu.max": "300000 100000\n",
		};
		expect(tree("0-7", { ...v2, ...files })).toMatchObject({ quota: 2, count: 2 });
	});

	it("finds its group at the root of the mount, as a container sees it", () => {
		const files = { "proc/self/cgroup": "0::/../../elsewhere\n", "sys/fs/cgroup/cpu.max": "100000 50000\n" };
		expect(tree("0-7", { ...v2, ...files })).toMatchObject({ quota: 2, count: 2 });
	});

	it("stays within the cpuset, and a quota above it does not bind", () => {
		const files = { "sys/fs/cgroup/pod/app/cpuset.cpus.effective": "2-3\n", "sys/fs/cgroup/pod/app/cpu.max": "800000 100000\n" };
		expect(tree("0-7", { ...v2, ...files })).toEqual({ cpus: [2, 3], quota: 8, count: 2, source: "CPU affinity" });
	});

	it("trusts the affinity when the cpuset names none of its CPUs", () => {
		expect(tree("0-1", { ...v2, "sys/fs/cgroup/pod/app/cpuset.cpus.effective": "6-7\n" })).toMatchObject({ cpus: [0, 1] });
	});

	it.each(["", ",\n", "all\n", "3-0\n", "0-9999\n", "0-3:1/2\n"])("leaves out a cpuset that is no list of CPUs: %j", (list) => {
		const files = { "sys/fs/cgroup/pod/app/cpuset.cpus.effective": list, "sys/fs/cgroup/pod/cpuset.cpus.effective": "1-2\n" };
		expect(tree("0-3", { ...v2, ...files })).toMatchObject({ cpus: [1, 2] });
	});

	it.each([",", "all", "0-9999"])("takes all CPUs of the machine when the kernel's affinity is no list of CPUs: %j", (list) => {
		expect(tree(list)).toMatchObject({ source: "CPUs of the machine", cpus: availableCpus(join(root, "missing")).cpus });
	});
});

const v1 = { "proc/self/cgroup": "5:cpu,cpuacct:/docker/abc\n4:cpuset:/docker/abc\n1:name=systemd:/\n" };

describe("cgroup v1", () => {
	it("reads quota and period, here where cpu and cpuacct are mounted together", () => {
		const files = {
			"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "250000\n",
			"sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000\n",
		};
		expect(tree("0-7", { ...v1, ...files })).toEqual({
			cpus: [0, 1, 2, 3, 4, 5, 6, 7],
			quota: 2.5,
			count: 2,
			source: "cgroup v1 quota of 2.5 CPUs",
		});
	});

	it("takes -1 for no quota", () => {
		expect(tree("0-7", { ...v1, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n" })).toMatchObject({ quota: null, count: 8 });
	});

	it("finds its files at the root of the mount, as a container sees them, and in hybrid mode beside v2", () => {
		const files = {
			"proc/self/cgroup": "4:cpu:/docker/abc\n3:cpuset:/docker/abc\n0::/docker/abc\n",
			"sys/fs/cgroup/unified/cgroup.controllers": "\n",
			"sys/fs/cgroup/cpu/cpu.cfs_quota_us": "300000\n",
			"sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
			"sys/fs/cgroup/cpuset/cpuset.cpus": "1-5\n",
		};
		expect(tree("0-7", files)).toEqual({ cpus: [1, 2, 3, 4, 5], quota: 3, count: 3, source: "cgroup v1 quota of 3 CPUs" });
	});
});
