import { describe, expect, it } from "vitest";
import { CpuUse } from "../src/cpu-use.ts";

/** One look per second; `used` are the CPUs in use during each second. */
function looks(use: CpuUse, used: readonly number[], windowMs: number, from = { second: 0, cpuMs: 0 }): (number | null)[] {
	return used.map((cpus) => {
		from.cpuMs += cpus * 1000;
		from.second++;
		const average = use.observe(new Map([["shard", from.cpuMs]]), windowMs, from.second * 1000);
		return average === null ? null : Math.round(average * 1000) / 1000;
	});
}

describe("the average of CPU use", () => {
	it("begins when the window is full, and leaves out what was used before", () => {
		expect(looks(new CpuUse(), [1, 1, 1, 1, 1, 1], 5000)).toEqual([null, null, null, null, 1, 1]);
	});

	it("a burst of some seconds is a small part of a long window", () => {
		const values = looks(
			new CpuUse(),
			[...Array<number>(35).fill(0.2), ...Array<number>(10).fill(1), ...Array<number>(30).fill(0.2)],
			30_000,
		);
		expect(Math.max(...values.filter((value) => value !== null))).toBeCloseTo((10 * 1 + 20 * 0.2) / 30, 2);
		expect(values.at(-1)).toBeCloseTo(0.2, 2);
	});

	it("adds up all processes, also those that begin and end", () => {
		const use = new CpuUse();
		const at = (second: number, times: Record<string, number>) => use.observe(new Map(Object.entries(times)), 2000, second * 1000);
		at(0, { a: 0, b: 5000 });
		at(1, { a: 500, b: 5500 });
		expect(at(2, { a: 1000, b: 6000 })).toBeCloseTo(1);
		expect(at(3, { a: 1500 })).toBeCloseTo(0.75);
		expect(at(4, { a: 2000, c: 90_000 }), "what c used before is not of this window").toBeCloseTo(0.5);
	});

	it("a process that was started again does not lower it", () => {
		const use = new CpuUse();
		const at = (second: number, cpuMs: number) => use.observe(new Map([["a", cpuMs]]), 2000, second * 1000);
		at(0, 50_000);
		at(1, 51_000);
		expect(at(2, 1000)).toBeCloseTo(1);
	});

	it("takes up another window while it runs", () => {
		const use = new CpuUse();
		const from = { second: 0, cpuMs: 0 };
		expect(looks(use, Array<number>(20).fill(0.5), 10_000, from).at(-1)).toBe(0.5);
		expect(looks(use, [1], 2000, from).at(-1)).toBe(0.75);
		expect(looks(use, [1], 60_000, from).at(-1), "a longer one fills first").toBeNull();
	});

	it("keeps no more readings than the window has seconds", () => {
		const use = new CpuUse();
		const before = process.memoryUsage().heapUsed;
		looks(use, Array<number>(50_000).fill(0.5), 5000);
		expect(process.memoryUsage().heapUsed - before).toBeLessThan(50 * 1_048_576);
		expect(looks(use, [0.5], 5000, { second: 50_000, cpuMs: 25_000_000 }).at(-1)).toBe(0.5);
	});
});
