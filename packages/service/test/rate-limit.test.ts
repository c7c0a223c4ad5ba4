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
});
