import { describe, expect, it } from "vitest";
import { FlushPolicy } from "../../src/delivery/flush-policy.ts";

describe("the flush policy", () => {
	it("adds no delay to the first message, nor to any that arrives after the pause", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		expect(policy.waitMs(1000)).toBe(0);
		policy.flushed(1000, 1006);
		expect(policy.waitMs(1012)).toBe(0);
		expect(policy.waitMs(60_000)).toBe(0);
	});

	it("pauses as long as the last flush took, counted from its end", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		policy.flushed(1000, 1006);
		expect(policy.pauseMs).toBe(6);
		expect(policy.waitMs(1006)).toBe(6);
		expect(policy.waitMs(1010)).toBe(2);
	});

	it("never pauses longer than --flush-max, however slow the flushes get", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		policy.flushed(0, 500);
		expect(policy.pauseMs).toBe(10);
		expect(policy.waitMs(500)).toBe(10);
	});

	it("does not pause for less than the resolution of a timer", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		policy.flushed(1000, 1000.8);
		expect(policy.waitMs(1000.8)).toBe(0);
		policy.flushed(2000, 2003);
		expect(policy.waitMs(2005.5)).toBe(0);
	});

	it("shortens a pause that lets the rings fill up as far as necessary, and lengthens it again in steps", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		// The rings fill by a tenth each millisecond: a quarter is full after 2.5.
		const pauses = Array.from({ length: 12 }, () => {
			const fill = policy.pauseMs / 10;
			policy.flushed(1000, 1010, fill);
			return policy.pauseMs;
		});
		expect(pauses[0]).toBe(10);
		expect(pauses[1]).toBeCloseTo(2.5);
		expect(Math.max(...pauses.slice(1))).toBeLessThan(4);
		expect(Math.min(...pauses)).toBeGreaterThan(2);
	});

	it("does not pause at all when the rings are full without any pause", () => {
		const policy = new FlushPolicy({ pauseMsMax: 10, pauseRatio: 1 });
		policy.flushed(1000, 1006, 1);
		policy.flushed(1006, 1012, 1);
		policy.flushed(1012, 1018, 1);
		expect(policy.waitMs(1018)).toBe(0);
		policy.flushed(2000, 2006, 0);
		expect(policy.waitMs(2006)).toBe(1);
	});

	it("never pauses when --flush-max is 0", () => {
		const policy = new FlushPolicy({ pauseMsMax: 0, pauseRatio: 1 });
		policy.flushed(0, 500);
		expect(policy.waitMs(500)).toBe(0);
	});
});
