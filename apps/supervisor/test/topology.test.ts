import { autoCount } from "@shardcast/config";
import type { AvailableCpus } from "@shardcast/process";
import { describe, expect, it } from "vitest";
import { coreOf, cpusNow, planTopology } from "../src/topology.ts";

const machine = (cpus: number[], quota: number | null = null): AvailableCpus => ({
	cpus,
	quota,
	count: quota === null ? cpus.length : Math.min(cpus.length, Math.max(1, Math.floor(quota))),
	source: quota === null ? "CPU affinity" : "quota",
});
const auto = { shards: 0, shardsMin: 1, shardsMax: 64, cpus: [] as number[], numa: -1 };
const name = (key: string) => `--${key}`;

const cores = (config: Partial<typeof auto>, available: AvailableCpus, nodeCpus: number[] | null = null, random = () => 0) =>
	planTopology({ ...auto, ...config }, available, nodeCpus, name, random).shards.map(({ core }) => core);

describe("a shard per core, pinned", () => {
	it("takes all CPUs that are available", () => {
		expect(cores({}, machine([0, 1, 4]))).toEqual([0, 1, 4]);
	});

	it("puts shards on separate cores as long as there are enough", () => {
		expect(cores({ shards: 3 }, machine([0, 1, 2, 3]))).toEqual([0, 1, 2]);
	});

	it("with auto, keeps to --shards-min and --shards-max, which bind neither a number nor 0", () => {
		const bounds = { shardsMin: 3, shardsMax: 3 };
		expect(cores({ ...bounds, shards: autoCount }, machine([0, 1]))).toEqual([0, 1, 0]);
		expect(cores({ ...bounds, shards: autoCount }, machine([0, 1, 2, 3]))).toEqual([0, 1, 2]);
		expect(cores({ ...bounds, shards: 2 }, machine([0, 1, 2, 3]))).toHaveLength(2);
		expect(cores({ ...bounds, shards: 0 }, machine([0, 1, 2, 3]))).toHaveLength(4);
	});

	it("wraps around when there are more shards than CPUs, and says so", () => {
		expect(cores({ shards: 5 }, machine([0, 1]))).toEqual([0, 1, 0, 1, 0]);
		expect(planTopology({ ...auto, shards: 5 }, machine([0, 1]), null, name).wraps).toBe(true);
		expect(planTopology({ ...auto, shards: 2 }, machine([0, 1]), null, name).wraps).toBe(false);
	});

	it("takes the CPUs of --cpus in their order, and as many shards", () => {
		expect(cores({ cpus: [1, 3] }, machine([0, 1, 2, 3]))).toEqual([1, 3]);
		expect(planTopology({ ...auto, cpus: [1, 3] }, machine([0, 1, 2, 3]), null, name).source).toBe("--cpus");
	});

	it.each([
		[[0, 9], "--cpus: CPU 9 does not exist or may not be used; available: 0-1"],
		[[7, 8, 9], "--cpus: CPU 7-9 do not exist or may not be used; available: 0-1"],
	])("refuses %j", (cpus, message) => {
		expect(() => cores({ cpus }, machine([0, 1]))).toThrow(message);
	});
});

describe("a quota", () => {
	it("makes fewer shards than there are CPUs", () => {
		expect(cores({}, machine([0, 1, 2, 3], 2.5))).toEqual([0, 1]);
	});

	it("starts at a random core, since all containers of a machine would plan alike", () => {
		expect(cores({}, machine([0, 1, 2, 3], 2), null, () => 0.99)).toEqual([3, 0]);
	});

	it("binds the number of shards for --cpus as well, on just these cores", () => {
		expect(cores({ cpus: [2, 3] }, machine([0, 1, 2, 3], 1), null, () => 0.99)).toEqual([2]);
	});

	it("does not bind when it is above the CPUs that there are", () => {
		expect(cores({}, machine([4, 5], 8), null, () => 0.99)).toEqual([4, 5]);
	});
});

describe("a NUMA node", () => {
	it("keeps to the node's CPUs, as far as they are available", () => {
		expect(cores({ numa: 1 }, machine([0, 1, 2, 3]), [2, 3, 6, 7])).toEqual([2, 3]);
		expect(cores({ numa: 1, cpus: [1, 2] }, machine([0, 1, 2, 3]), [2, 3])).toEqual([2]);
	});

	it("refuses a node that has none of them", () => {
		expect(() => cores({ numa: 1 }, machine([0, 1]), [2, 3])).toThrow(
			"--numa: node 1 has none of the CPUs 0-1; choose another node or other --cpus",
		);
	});
});

it("a shard that is added later gets the next CPU of those that are there then", () => {
	const topology = planTopology({ ...auto, shards: 2 }, machine([2, 3]), null, name);
	const free = { cpus: [], numa: -1 };
	const core = (available: number[], slot: number, chosen = free as { cpus: number[]; numa: number }) =>
		coreOf(topology, cpusNow(topology, chosen, available), slot);
	expect([2, 3, 4].map((slot) => core([2, 3], slot))).toEqual([2, 3, 2]);
	expect(core([2, 3, 4, 5], 2), "one that has come").toBe(4);
	expect(core([2, 3, 4, 5], 2, { cpus: [2, 3], numa: -1 }), "CPUs were chosen").toBe(2);
	expect(core([3], 4), "one that has gone").toBe(3);
	expect(core([], 2), "none is known").toBe(2);
});
