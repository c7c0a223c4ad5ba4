import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Guard, type GuardRule } from "../src/guard.ts";

const rule: GuardRule = { enter: 75, leave: 70, enterAfterMs: 3000, leaveAfterMs: 5000 };

/** Observes a value each second; returns after which seconds the guard acts. */
function seconds(guard: Guard, values: readonly (number | null)[], given: GuardRule | null = rule, startMs = 0): boolean[] {
	return values.map((value, index) => {
		guard.observe(value, given, startMs + index * 1000);
		return guard.sinceMs !== null;
	});
}

describe("a guard", () => {
	it("acts when the value has been at its threshold for the whole time, and not before", () => {
		expect(seconds(new Guard(), [75, 75, 75, 75, 75])).toEqual([false, false, false, true, true]);
	});

	it("does not act for a peak that is shorter", () => {
		expect(seconds(new Guard(), [99, 99, 99, 74, 99, 99, 99, 74])).not.toContain(true);
	});

	it("acts at once where no time is to pass", () => {
		expect(seconds(new Guard(), [74, 75], { ...rule, enterAfterMs: 0 })).toEqual([false, true]);
	});

	it("stops when the value has been below its margin for the whole time; between margin and threshold it goes on", () => {
		const guard = new Guard();
		const acts = seconds(guard, [80, 80, 80, 80, 71, 71, 71, 71, 71, 71, 69, 69, 69, 70, 69, 69, 69, 69, 69, 69]);
		expect(acts.lastIndexOf(false)).toBe(19);
		expect(acts.indexOf(true)).toBe(3);
		expect(acts.slice(3, 19)).not.toContain(false);
		expect(guard.times).toBe(1);
	});

	it("tells since when it acts, and how often it has begun to", () => {
		const guard = new Guard(2);
		seconds(guard, [80, 80, 80, 80, 80, 80], rule, 10_000);
		expect(guard.sinceMs).toBe(13_000);
		expect(guard.times).toBe(3);
	});

	it("what is unknown is no reason to begin, and no reason to go on", () => {
		const guard = new Guard();
		expect(seconds(guard, [null, null, null, null, null])).not.toContain(true);
		seconds(guard, [80, 80, 80, 80], rule, 5000);
		expect(guard.sinceMs).not.toBeNull();
		expect(seconds(guard, [null, null, null, null, null, null], rule, 9000).at(-1)).toBe(false);
	});

	it("stops at once when it is switched off", () => {
		const guard = new Guard();
		seconds(guard, [80, 80, 80, 80]);
		expect(guard.observe(99, null, 4000)).toBe(true);
		expect(guard.sinceMs).toBeNull();
		expect(guard.observe(99, null, 5000)).toBe(false);
	});

	it("two looks with a long pause between them say nothing about the pause", () => {
		const guard = new Guard();
		guard.observe(99, rule, 0);
		guard.observe(99, rule, 40_000);
		expect(guard.sinceMs, "the process that looks stood still").toBeNull();
		expect(seconds(guard, [99, 99, 99], rule, 41_000).at(-1)).toBe(true);
	});
});

const rules = fc
	.record({
		enter: fc.integer({ min: 2, max: 100 }),
		margin: fc.integer({ min: 0, max: 20 }),
		enterAfterMs: fc.integer({ min: 0, max: 10_000 }),
		leaveAfterMs: fc.integer({ min: 1000, max: 20_000 }),
	})
	.map(({ margin, ...rest }): GuardRule => ({ ...rest, leave: Math.max(1, rest.enter - margin) }));
const looks = fc.array(
	fc.record({ value: fc.option(fc.integer({ min: 0, max: 110 }), { nil: null }), afterMs: fc.integer({ min: 500, max: 1500 }) }),
	{ maxLength: 200 },
);

/** What happened at each look, with the time. */
function run(given: GuardRule, sequence: readonly { value: number | null; afterMs: number }[]) {
	const guard = new Guard();
	let nowMs = 0;
	return sequence.map(({ value, afterMs }) => {
		nowMs += afterMs;
		const changed = guard.observe(value, given, nowMs);
		return { nowMs, value, changed, acts: guard.sinceMs !== null, times: guard.times };
	});
}

describe("whatever a guard is told", () => {
	it("it begins only after values at the threshold for the whole time, and stops only after values below the margin for the whole time", () => {
		fc.assert(
			fc.property(rules, looks, (given, sequence) => {
				const steps = run(given, sequence);
				steps.forEach(({ nowMs, changed, acts }, index) => {
					if (!changed) return;
					const neededMs = acts ? given.enterAfterMs : given.leaveAfterMs;
					const isBeyond = (value: number | null) =>
						acts ? value !== null && value >= given.enter : value === null || value < given.leave;
					let from = index;
					while (from > 0 && isBeyond(steps[from - 1]!.value)) from--;
					if (!isBeyond(steps[index]!.value) || nowMs - steps[from]!.nowMs < neededMs) expect.fail(`changed too early at look ${index}`);
				});
			}),
		);
	});

	it("it acts at least for the time that a dip must last: it cannot flap", () => {
		fc.assert(
			fc.property(rules, looks, (given, sequence) => {
				let beganMs = Number.NaN;
				for (const { nowMs, changed, acts } of run(given, sequence)) {
					if (!changed) continue;
					if (acts) beganMs = nowMs;
					else if (nowMs - beganMs < given.leaveAfterMs) expect.fail(`acted for ${nowMs - beganMs} ms only`);
				}
			}),
		);
	});

	it("values that stay between margin and threshold change nothing", () => {
		fc.assert(
			fc.property(rules, looks, fc.array(fc.double({ min: 0, max: 0.999, noNaN: true }), { maxLength: 100 }), (given, sequence, parts) => {
				const between = parts.map((part) => ({ value: given.leave + part * (given.enter - given.leave), afterMs: 1000 }));
				if (given.leave === given.enter) return;
				const steps = run(given, [...sequence, ...between]).slice(sequence.length);
				if (steps.some(({ changed }) => changed)) expect.fail("it changed");
			}),
		);
	});

	it("it stops in the end when the load is gone, and begins in the end when the load stays", () => {
		fc.assert(
			fc.property(rules, looks, fc.boolean(), (given, sequence, stays) => {
				const rest = Array.from({ length: 50 }, () => ({ value: stays ? 110 : 0, afterMs: 1000 }));
				if (run(given, [...sequence, ...rest]).at(-1)!.acts !== stays) expect.fail("it did not follow");
			}),
		);
	});

	it("it counts each beginning once", () => {
		fc.assert(
			fc.property(rules, looks, (given, sequence) => {
				const steps = run(given, sequence);
				const began = steps.filter(({ changed, acts }) => changed && acts).length;
				if (began !== (steps.at(-1)?.times ?? 0)) expect.fail("wrong count");
			}),
		);
	});
});
