import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { descendantsOf } from "@shardcast/testkit";
import type { FaultKind } from "../fault.ts";
import type { Rig } from "../rig.ts";

/** Both versions: a folder in the tree, a file with the limit, a file with the processes. */
const trees = [
	{ root: "/sys/fs/cgroup/cpu", file: "cpu.cfs_quota_us", limit: (percent: number) => String(percent * 1000) },
	{ root: "/sys/fs/cgroup", file: "cpu.max", limit: (percent: number) => `${percent * 1000} 100000` },
];
const percents = [5, 15, 30];

/** Where a group can be made whose CPU time is limited; null = nowhere. */
function usableTree() {
	for (const tree of trees) {
		const group = join(tree.root, `shardcast-faults-${process.pid}`);
		try {
			mkdirSync(group);
			const isUsable = existsSync(join(group, tree.file));
			rmdirSync(group);
			if (isUsable) return { ...tree, group };
		} catch {
			// not root, read-only, or not there
		}
	}
	return null;
}

const ownGroup = (root: string): string => {
	const lines = readFileSync("/proc/self/cgroup", "utf8").split("\n");
	const line = root.endsWith("/cpu")
		? lines.find((text) => /^\d+:([^:]*,)?cpu(,[^:]*)?:/.test(text))
		: lines.find((text) => text.startsWith("0::"));
	return join(root, line?.split(":").slice(2).join(":") ?? "/");
};

function move(pids: readonly number[], group: string): void {
	for (const pid of pids)
		try {
			writeFileSync(join(group, "cgroup.procs"), String(pid));
		} catch {
			// it has ended
		}
}

export const starve: FaultKind = {
	name: "starve",
	help: "all processes of the cluster together get 5, 15 or 30 % of one CPU for 5 s (a cgroup; needs root)",
	isShort: false,
	draw(random) {
		const target = random.below(percents.length);
		return { target, forMs: 5_000, seed: 0, story: `${percents[target]} % of a CPU, 5 s` };
	},
	lacks: () => (usableTree() === null ? "no cgroup can be made here: run as root" : null),
	async inject(rig: Rig, { target, forMs }) {
		const { root, file, limit, group } = usableTree()!;
		const family = (): number[] => {
			const { pid } = rig.subject.cluster.process;
			return [pid, ...descendantsOf(pid).map((child) => child.pid)];
		};
		mkdirSync(group);
		try {
			writeFileSync(join(group, file), limit(percents[target]!));
			move(family(), group);
			await rig.wait(forMs);
		} finally {
			move([...family(), ...readFileSync(join(group, "cgroup.procs"), "utf8").split("\n").filter(Boolean).map(Number)], ownGroup(root));
			await rig.until(() => readFileSync(join(group, "cgroup.procs"), "utf8") === "", 5_000).catch(() => {});
			rmdirSync(group);
		}
	},
};
