import { describe, expect, it } from "vitest";
import { Deadline, DeadlineError, until, withDeadline } from "../src/deadline.ts";

const never = new Promise<never>(() => {});

describe("deadlines", () => {
	it("settle like the work when it is in time", async () => {
		await expect(withDeadline(Promise.resolve(7), 1000, "work")).resolves.toBe(7);
		await expect(withDeadline(Promise.reject(new Error("no")), 1000, "work")).rejects.toThrow("no");
	});

	it("reject when it is late", async () => {
		await expect(withDeadline(never, 5, "work")).rejects.toThrow(DeadlineError);
	});

	it("do not go below zero", () => {
		expect(new Deadline(-1).leftMs()).toBe(0);
		expect(new Deadline(1000).leftMs()).toBeGreaterThan(900);
	});
});

describe("until", () => {
	it("waits for the condition, and not longer than the deadline", async () => {
		let asked = 0;
		expect(await until(() => ++asked === 3, 5000)).toBe(true);
		expect(asked).toBe(3);
		expect(await until(() => false, 12)).toBe(false);
		expect(await until(() => true, 0)).toBe(true);
	});
});
