import { expect, it } from "vitest";
import { BackendCounts, callSecondsBounds } from "../../src/backend/backend-counts.ts";

it("a call is counted in the first bucket whose upper bound is not less than its time", () => {
	const counts = new BackendCounts();
	for (const seconds of [0, callSecondsBounds[0], callSecondsBounds[0] + 0.0001, 5, 5.1]) counts.took(seconds);
	expect([...counts.times]).toEqual([2, 1, ...Array(9).fill(0), 1, 1]);
	expect(counts.seconds).toBeCloseTo(10.1021);
});
