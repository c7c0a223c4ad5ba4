import { describe, expect, it } from "vitest";
import type { FaultKind } from "../src/faults/fault.ts";
import { mutatedFrames } from "../src/faults/kinds/frames.ts";
import { faultKinds } from "../src/faults/kinds/kinds.ts";
import { parseFaultOptions, UsageError } from "../src/faults/options.ts";
import { Random } from "../src/faults/random.ts";
import { schedule } from "../src/faults/schedule.ts";

function first(count: number, seed: number, kinds: readonly FaultKind[] = faultKinds, isShort = false) {
	const steps = [];
	for (const { number, kind, draw } of schedule(seed, kinds, isShort)) {
		if (number > count) return steps;
		steps.push({ number, kind: kind.name, ...draw });
	}
	return steps;
}

describe("the schedule of faults", () => {
	it("depends on the seed only", () => {
		expect(first(100, 7)).toEqual(first(100, 7));
		expect(first(100, 7)).not.toEqual(first(100, 8));
	});

	it("has one of each kind in each round, in another order", () => {
		const steps = first(2 * faultKinds.length, 7).map(({ kind }) => kind);
		const [one, two] = [steps.slice(0, faultKinds.length), steps.slice(faultKinds.length)];
		const all = faultKinds.map(({ name }) => name).toSorted();
		expect([one.toSorted(), two.toSorted()]).toEqual([all, all]);
		expect(one).not.toEqual(two);
	});

	it("draws every target and length, and no long pause in the short run", () => {
		const pauses = first(600, 3).filter(({ kind }) => kind === "pause-shard");
		expect(new Set(pauses.map(({ target }) => target))).toEqual(new Set([0, 1]));
		expect(new Set(pauses.map(({ forMs }) => forMs))).toEqual(new Set([1_000, 5_000, 40_000]));
		const short = faultKinds.filter(({ isShort }) => isShort);
		expect(Math.max(...first(300, 3, short, true).map(({ forMs }) => forMs))).toBeLessThanOrEqual(2_000);
	});

	it("draws the same frames from the same seed, other ones from another", () => {
		const frames = (seed: number) => mutatedFrames(new Random(seed)).toString("hex");
		expect(frames(5)).toBe(frames(5));
		expect(new Set(Array.from({ length: 50 }, (_, seed) => frames(seed))).size).toBe(50);
	});

	it("shuffles without losing any, and draws from the whole range", () => {
		const random = new Random(1);
		expect(random.shuffled([1, 2, 3, 4, 5]).toSorted()).toEqual([1, 2, 3, 4, 5]);
		const counts = [0, 0, 0, 0];
		for (let each = 0; each < 4000; each++) counts[random.below(4)]!++;
		expect(Math.min(...counts)).toBeGreaterThan(850);
	});
});

describe("the command line of the fault suite", () => {
	const parse = (...argv: string[]) => parseFaultOptions(argv, faultKinds, 42);

	it("without flags: the kinds that are over soon, and the seed that was drawn", () => {
		const { kinds, minutes, seed } = parse();
		expect({ minutes, seed, kinds }).toEqual({ minutes: null, seed: 42, kinds: faultKinds.filter(({ isShort }) => isShort) });
		expect(parse("--minutes", "3").kinds).toEqual(faultKinds);
	});

	it("takes kinds and seed", () => {
		const { kinds, seed } = parse("--only", "kill-shard,pause-kafka", "--seed", "7");
		expect([kinds.map(({ name }) => name), seed]).toEqual([["kill-shard", "pause-kafka"], 7]);
	});

	it.each([
		["--only", "kill-shard,nothing", /There is no fault nothing; --list shows all/],
		["--seed", "1.5", /whole number from 0 to 2147483647/],
		["--minutes", "0", /number from 0\.1 to 1440/],
		["--minutes", "", /number from 0\.1 to 1440/],
		["--frobnicate", "1", /unknown option/],
	])("refuses %s %s", (flag, value, says) => {
		expect(() => parse(flag, value)).toThrow(says);
		expect(() => parse(flag, value)).toThrow(UsageError);
	});
});
