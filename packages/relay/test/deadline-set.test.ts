import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { DeadlineSet } from "../src/deadline-set.ts";

describe("deadline set", () => {
	let expired: string[];
	let set: DeadlineSet<string>;

	beforeEach(() => {
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
		expired = [];
		set = new DeadlineSet<string>({ lifetimeMs: 100, itemsMax: 3, expire: (item) => expired.push(item) });
	});

	afterEach(() => {
		vi.useRealTimers();
	});

	it("keeps each item for its lifetime, with one timer for all", () => {
		set.add("a");
		vi.advanceTimersByTime(40);
		set.add("b");
		set.add("c");
		expect(vi.getTimerCount()).toBe(1);
		vi.advanceTimersByTime(60);
		expect(expired).toEqual(["a"]);
		vi.advanceTimersByTime(40);
		expect(expired).toEqual(["a", "b", "c"]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("expires the oldest item when it is full", () => {
		for (const item of ["a", "b", "c", "d"]) set.add(item);
		expect(expired).toEqual(["a"]);
		expect(set.size).toBe(3);
	});

	it("does not expire items that were removed", () => {
		set.add("a");
		expect(set.delete("a")).toBe(true);
		expect(set.delete("a")).toBe(false);
		vi.advanceTimersByTime(1000);
		expect(expired).toEqual([]);
		expect(vi.getTimerCount()).toBe(0);
	});

	it("removes the selected items and keeps the deadlines of the others", () => {
		set.add("a");
		set.add("b");
		expect(set.take((item) => item === "a")).toEqual(["a"]);
		vi.advanceTimersByTime(100);
		expect(expired).toEqual(["b"]);
	});
});
