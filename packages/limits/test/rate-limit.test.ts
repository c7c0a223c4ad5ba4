import { describe, expect, it } from "vitest";
import { RateLimit } from "../src/rate-limit.ts";

describe("a rate limit", () => {
	it("lets a second's worth through at once and then so many per second, each client for itself", () => {
		const limit = new RateLimit<string>(10, 100);
		const taken = (key: string, nowMs: number, times: number) =>
			Array.from({ length: times }, () => limit.take(key, nowMs)).filter(Boolean).length;
		expect(taken("a", 0, 20)).toBe(10);
		expect(taken("b", 0, 3)).toBe(3);
		expect(taken("a", 100, 20)).toBe(1);
		expect(taken("a", 1100, 20)).toBe(10);
		expect(taken("a", 100_000, 20)).toBe(10);
	});

	it("keeps nothing when it is off", () => {
		const limit = new RateLimit<number>(0, 10);
		for (let key = 0; key < 100; key++) expect(limit.take(key, 0)).toBe(true);
		expect(limit.count).toBe(0);
	});

	it("is bounded: forgets the client that was heard longest ago", () => {
		const limit = new RateLimit<number>(1, 3);
		for (const key of [1, 2, 3]) limit.take(key, 0);
		limit.take(1, 0);
		limit.take(4, 0);
		expect(limit.count).toBe(3);
		expect(limit.take(1, 0), "heard lately, so still remembered").toBe(false);
		expect(limit.take(2, 0), "forgotten").toBe(true);
		limit.forget(1);
		expect(limit.count).toBe(2);
	});

	it("forgets in the order of use, whatever comes and goes in between", () => {
		const limit = new RateLimit<number>(1, 4);
		for (const key of [1, 2, 3, 4]) limit.take(key, 0);
		// In order of use: 4 1 3 2; then 1 leaves from the middle, and 5 and 6 push out 4.
		for (const key of [4, 1, 3, 2]) limit.take(key, 1);
		limit.forget(1);
		limit.take(5, 2);
		limit.take(6, 2);
		expect(limit.count).toBe(4);
		expect(limit.forgotten).toBe(1);
		// Those that are still there have spent their token; whoever was forgotten has a new one.
		expect([3, 2, 5, 6].map((key) => limit.take(key, 3))).toEqual([false, false, false, false]);
		expect(limit.take(4, 3)).toBe(true);
		for (const key of [2, 5, 6, 4]) limit.forget(key);
		expect(limit.count).toBe(0);
		expect(limit.take(7, 3)).toBe(true);
	});

	it("a busy client among many costs no more than any other", () => {
		const limit = new RateLimit<number>(1, 20_000);
		for (let key = 0; key < 20_000; key++) limit.take(key, 0);
		const cpuUs = (takes: (index: number) => number): number => {
			const before = process.cpuUsage();
			for (let index = 0; index < 50_000; index++) limit.take(takes(index), 0);
			const { user, system } = process.cpuUsage(before);
			return user + system;
		};
		const spread = cpuUs((index) => index % 20_000);
		// With a Map's own order it is some hundred times as much.
		expect(cpuUs(() => 5)).toBeLessThan(10 * spread + 20_000);
	});
});
