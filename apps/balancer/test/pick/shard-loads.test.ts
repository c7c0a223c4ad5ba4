import { describe, expect, it } from "vitest";
import { ShardLoads } from "../../src/pick/shard-loads.ts";
import { boardOf, clock, pickerOf } from "../support/picker.ts";

describe("how busy each shard is", () => {
	const start = (cores: readonly number[], quota: number | null = null) => {
		const machine = { quota, memoryBytes: 8000 };
		const board = boardOf(cores.map(() => 10));
		cores.forEach((core, slot) => {
			board.row(slot).core = core;
		});
		const picker = pickerOf(board, { loads: new ShardLoads(() => ({ ...machine })) });
		const after = (ms: number, cpuMs: number) => {
			clock.nowMs += ms;
			for (const row of board.rows()) {
				row.add("cpuMs", cpuMs);
				row.set("heartbeatMs", clock.nowMs);
			}
			picker.look();
			return picker.candidates.map(({ cpu }) => cpu);
		};
		return { board, picker, after, machine };
	};

	it("CPU time is a rate over at least a second, and not known at first", () => {
		const { after } = start([0, 1]);
		expect(after(999, 500)).toEqual([0, 0]);
		expect(after(1, 0)).toEqual([0.5, 0.5]);
		expect(after(500, 500)).toEqual([0.5, 0.5]);
		expect(after(1500, 500)).toEqual([0.5, 0.5]);
	});

	it("it is a part of what a shard can get: of a CPU that it shares, and of the quota", () => {
		expect(start([0, 0, 1]).after(1000, 400)).toEqual([0.8, 0.8, 0.4]);
		expect(start([-1, -1]).after(1000, 400)).toEqual([0.4, 0.4]);
		expect(start([0, 1, 2, 3], 2).after(1000, 400)).toEqual([0.8, 0.8, 0.8, 0.8]);
	});

	it("a quota or a limit of memory that changes counts within half a minute", () => {
		const { board, picker, after, machine } = start([0, 1]);
		for (const row of board.rows()) row.set("residentBytes", 2000);
		expect(after(1000, 400)).toEqual([0.4, 0.4]);
		machine.quota = 1;
		machine.memoryBytes = 16_000;
		for (let second = 0; second < 30; second++) after(1000, 400);
		expect(after(1000, 400)).toEqual([0.8, 0.8]);
		expect(picker.candidates.map(({ memory }) => memory)).toEqual([0.25, 0.25]);
	});

	it("a new process starts at zero", () => {
		const { board, after } = start([0, 1]);
		after(1000, 900);
		board.row(0).incarnation = 2;
		expect(after(1000, 900)).toEqual([0, 0.9]);
		expect(after(1000, 900)).toEqual([0.9, 0.9]);
	});

	it("memory is a part of an even share", () => {
		const { board, picker, after } = start([0, 1]);
		board.row(0).set("residentBytes", 2000);
		after(1000, 0);
		expect(picker.candidates.map(({ memory }) => memory)).toEqual([0.5, 0]);
	});
});
