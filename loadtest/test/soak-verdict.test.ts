import { describe, expect, it } from "vitest";
import { UsageError } from "../src/faults/options.ts";
import { parseSoakOptions } from "../src/faults/soak/options.ts";
import { judgeGrowth, type Sample } from "../src/faults/soak/verdict.ts";

const samplesOf = (values: readonly number[]): Sample[] => values.map((value, atMs) => ({ atMs, values: new Map([["memory", value]]) }));
const judge = (values: readonly number[]) => judgeGrowth(samplesOf(values))[0]!;

describe("growth in a soak", () => {
	it("garbage between collections is none: what is left after them counts", () => {
		const saw = Array.from({ length: 100 }, (_, at) => 100 + 10 * (at % 10));
		expect(judge(saw)).toEqual({ name: "memory", start: 120, end: 120, growth: 0, isTooMuch: false });
	});

	it("a leak below the garbage shows, from 5 % on", () => {
		const leaking = (part: number) => Array.from({ length: 100 }, (_, at) => 1000 + (part * 1000 * at) / 80 + 100 * (at % 10));
		expect(judge(leaking(0.03)).isTooMuch).toBe(false);
		expect(judge(leaking(0.1)).isTooMuch).toBe(true);
	});

	it("less is right, and so is something that only peaks", () => {
		expect(judge([...Array(50).fill(100), ...Array(50).fill(60)]).isTooMuch).toBe(false);
		expect(judge([...Array(80).fill(100), 900, ...Array(19).fill(100)]).isTooMuch).toBe(false);
	});

	it("what was not there at first has grown", () => {
		const samples = samplesOf(Array(100).fill(1));
		for (const { values } of samples.slice(50)) (values as Map<string, number>).set("new", 5);
		expect(judgeGrowth(samples).find(({ name }) => name === "new")).toMatchObject({ start: 0, end: 5, isTooMuch: true });
		(samples.at(-1)!.values as Map<string, number>).set("newest", 7);
		expect(
			judgeGrowth(samples).find(({ name }) => name === "newest"),
			"in the last sample only",
		).toMatchObject({ end: 7, isTooMuch: true });
	});

	it("refuses to judge few samples", () => {
		expect(() => judge([1, 2, 3, 4])).toThrow("4 samples are too few to compare");
	});
});

describe("the command line of the soak", () => {
	it("has defaults, and takes others", () => {
		expect(parseSoakOptions([])).toEqual({ minutes: 10, rate: 200, jsonPath: null });
		expect(parseSoakOptions(["--minutes", "0.5", "--rate", "50", "--json", "x"])).toEqual({ minutes: 0.5, rate: 50, jsonPath: "x" });
	});

	it("refuses what is no number", () => {
		expect(() => parseSoakOptions(["--rate", "many"])).toThrow(UsageError);
		expect(() => parseSoakOptions(["--rate", "many"])).toThrow(/number from 1 to 5000/);
	});
});
