import { describe, expect, it } from "vitest";
import { count, msTick } from "../../console/format.js";
import { axisTicks, axisTop } from "../../console/scale.js";

/** Each chart: how its labels are written, and the smallest step that they tell apart. */
const axes = [
	["per second", count, 1],
	["milliseconds", msTick, 0.2],
] as const;
const highs = [
	null,
	undefined,
	Number.NaN,
	-1,
	0,
	0.001,
	0.3,
	0.5,
	1,
	1.9,
	2,
	4.3,
	7,
	12,
	99,
	100,
	101,
	999,
	1234,
	99_999,
	123_456,
	1e6,
	7.7e8,
];

describe.each(axes)("the axis of a chart in %s", (_, format, least) => {
	it.each(highs)("with %s as its highest value has labels that all differ, from 0 upwards, and shows that value", (high) => {
		const top = axisTop(high, least);
		const ticks = axisTicks(top, least);
		const labels = ticks.map(format);
		expect(new Set(labels).size, labels.join(", ")).toBe(labels.length);
		expect(ticks[0]).toBe(0);
		expect(ticks).toEqual([...ticks].sort((a, b) => a - b));
		expect(ticks.length).toBeGreaterThanOrEqual(3);
		expect(ticks.length).toBeLessThanOrEqual(6);
		expect(ticks.at(-1)).toBeLessThanOrEqual(top * 1.001);
		if (high) expect(top).toBeGreaterThanOrEqual(high);
	});
});

describe("an axis without data", () => {
	it("goes from 0 to 5 in whole steps", () => {
		expect(axisTicks(axisTop(null, 1), 1)).toEqual([0, 1, 2, 3, 4, 5]);
	});

	it("is the same for a chart of nothing but zeros", () => {
		expect(axisTop(0, 1)).toBe(axisTop(null, 1));
	});
});
