import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { memoryUse } from "../src/memory/memory-use.ts";
import { OpenFilesMeter } from "../src/open-files-limit.ts";

let root: string;
beforeEach(() => {
	root = mkdtempSync(join(tmpdir(), "shardcast-memory-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const meminfo = { "proc/meminfo": "MemTotal:        1000 kB\nMemFree:          100 kB\nMemAvailable:     400 kB\n" };

function tree(files: Readonly<Record<string, string>>): ReturnType<typeof memoryUse> {
	for (const [path, text] of Object.entries(files)) {
		mkdirSync(dirname(join(root, path)), { recursive: true });
		writeFileSync(join(root, path), text);
	}
	return memoryUse(root);
}

const v2 = { ...meminfo, "proc/self/cgroup": "0::/pod/app\n", "sys/fs/cgroup/cgroup.controllers": "memory\n" };
const app = "sys/fs/cgroup/pod/app";
const pod = "sys/fs/cgroup/pod";

describe("the use of memory", () => {
	it("is that of the machine where there is no limit; caches are not in use", () => {
		expect(tree(meminfo)).toEqual({ usedBytes: 600 * 1024, limitBytes: 1000 * 1024, source: "machine" });
		const unlimited = { [`${app}/memory.max`]: "max\n", [`${app}/memory.current`]: "5000\n" };
		expect(tree({ ...v2, ...unlimited })).toMatchObject({ source: "machine" });
	});

	it("is unknown where the kernel tells nothing", () => {
		expect(memoryUse(join(root, "missing"))).toBeNull();
		expect(tree({ "proc/meminfo": "MemTotal: many kB\n" })).toBeNull();
	});

	it("cgroup v2: of the limit, without inactive caches", () => {
		const files = { [`${app}/memory.max`]: "100000\n", [`${app}/memory.current`]: "90000\n" };
		expect(tree({ ...v2, ...files, [`${app}/memory.stat`]: "anon 1000\ninactive_file 30000\nactive_file 5\n" })).toEqual({
			usedBytes: 60_000,
			limitBytes: 100_000,
			source: "cgroup v2",
		});
	});

	it("cgroup v2: of memory.high if that is less, where the kernel begins to hold up the processes", () => {
		const files = { [`${app}/memory.high`]: "80000\n", [`${app}/memory.current`]: "72000\n" };
		const expected = { usedBytes: 72_000, limitBytes: 80_000 };
		expect(tree({ ...v2, ...files, [`${app}/memory.max`]: "100000\n" })).toMatchObject(expected);
		expect(tree({ ...v2, ...files, [`${app}/memory.max`]: "max\n" })).toMatchObject(expected);
		expect(tree({ ...v2, ...files, [`${app}/memory.max`]: "75000\n" })).toMatchObject({ limitBytes: 75_000 });
		expect(tree({ ...v2, ...files, [`${app}/memory.max`]: "75000\n", [`${app}/memory.high`]: "max\n" })).toMatchObject({
			limitBytes: 75_000,
		});
	});

	it("cgroup v2: the parent counts that is closer to its limit", () => {
		const files = {
			[`${app}/memory.max`]: "100000\n",
			[`${app}/memory.current`]: "50000\n",
			[`${pod}/memory.max`]: "200000\n",
			[`${pod}/memory.current`]: "190000\n",
		};
		expect(tree({ ...v2, ...files })).toMatchObject({ usedBytes: 190_000, limitBytes: 200_000 });
	});

	it("a container that sees its group as the root of the mount", () => {
		const files = { "sys/fs/cgroup/memory.max": "100000\n", "sys/fs/cgroup/memory.current": "10000\n" };
		expect(tree({ ...v2, ...files })).toMatchObject({ usedBytes: 10_000, limitBytes: 100_000, source: "cgroup v2" });
	});

	it("cgroup v1, also where version 2 is mounted without controllers", () => {
		const v1 = { ...meminfo, "proc/self/cgroup": "4:memory:/app\n0::/\n", "sys/fs/cgroup/unified/cgroup.controllers": "" };
		const group = "sys/fs/cgroup/memory/app";
		const files = { [`${group}/memory.limit_in_bytes`]: "100000\n", [`${group}/memory.usage_in_bytes`]: "90000\n" };
		const stat = { [`${group}/memory.stat`]: "inactive_file 1\ntotal_inactive_file 20000\n" };
		expect(tree({ ...v1, ...files, ...stat })).toEqual({ usedBytes: 70_000, limitBytes: 100_000, source: "cgroup v1" });
		expect(tree({ [`${group}/memory.limit_in_bytes`]: "9223372036854771712\n" }), "no limit").toMatchObject({ source: "machine" });
	});

	it("a limit above the machine's memory is none", () => {
		const files = { [`${app}/memory.max`]: "2048000\n", [`${app}/memory.current`]: "90000\n" };
		expect(tree({ ...v2, ...files })).toMatchObject({ source: "machine" });
	});

	it.each([
		["an empty limit", "", "90000\n"],
		["a limit that is no number", "lots\n", "90000\n"],
		["a negative limit", "-1\n", "90000\n"],
		["a limit of 0", "0\n", "90000\n"],
		["no use", "100000\n", ""],
		["a use that is no number", "100000\n", "?\n"],
	])("%s counts as no limit", (_, limit, current) => {
		expect(tree({ ...v2, [`${app}/memory.max`]: limit, [`${app}/memory.current`]: current })).toMatchObject({ source: "machine" });
	});

	it("garbage in memory.stat counts as no caches; more caches than use as no use", () => {
		const files = { [`${app}/memory.max`]: "100000\n", [`${app}/memory.current`]: "90000\n" };
		expect(tree({ ...v2, ...files, [`${app}/memory.stat`]: "\u0000inactive_file many" })).toMatchObject({ usedBytes: 90_000 });
		expect(tree({ [`${app}/memory.stat`]: "inactive_file 99999\n" })).toMatchObject({ usedBytes: 0 });
	});

	it("is known on this machine", () => {
		const { usedBytes, limitBytes } = memoryUse()!;
		expect(usedBytes).toBeGreaterThan(1_048_576);
		expect(limitBytes).toBeGreaterThan(usedBytes);
	});
});

describe("the number of open descriptors", () => {
	it("is counted each time where the kernel tells it, and every tenth time where it only offers a listing", () => {
		expect(new OpenFilesMeter().read()).toBeGreaterThan(3);
		// Its size is 0, as that of /proc/self/fd with an old kernel.
		const meter = new OpenFilesMeter("/proc/self/task");
		const first = meter.read();
		expect(first).toBeGreaterThan(0);
		expect(Array.from({ length: 9 }, () => meter.read())).toEqual(Array(9).fill(first));
		expect(new OpenFilesMeter("/nowhere").read()).toBeNull();
	});
});
