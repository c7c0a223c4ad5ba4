import { describe, expect, it } from "vitest";
import { type Component, Deadline, DeadlineError, Lifecycle, withDeadline } from "../src/index.ts";

const never = new Promise<never>(() => {});

/** Notes what it is told; `faults` replace its methods. */
function component(name: string, told: string[], faults: Partial<Component> = {}): Component {
	const note = (what: string) => {
		told.push(`${what} ${name}`);
	};
	return {
		name,
		start: async () => note("start"),
		drain: async () => {
			note("drain");
			return 0;
		},
		stop: async () => note("stop"),
		...faults,
	};
}

describe("lifecycle", () => {
	it("starts in order, drains and stops in the reverse order", async () => {
		const told: string[] = [];
		const lifecycle = new Lifecycle([component("a", told), component("b", told)]);
		await lifecycle.start();
		expect(await lifecycle.drain(1000)).toEqual({ cutOff: 0, problems: [] });
		await lifecycle.stop();
		await lifecycle.stop();
		expect(told).toEqual(["start a", "start b", "drain b", "drain a", "stop b", "stop a"]);
	});

	it("stops what has been started when a later part fails, the failed one included", async () => {
		const told: string[] = [];
		const failing = component("b", told, { start: () => Promise.reject(new Error("port taken")) });
		await expect(new Lifecycle([component("a", told), failing, component("c", told)]).start()).rejects.toThrow("port taken");
		expect(told).toEqual(["start a", "stop b", "stop a"]);
	});

	it("goes on past a part that is late or fails, counts it, and keeps to the deadline", async () => {
		const told: string[] = [];
		const lifecycle = new Lifecycle([
			component("a", told),
			component("late", told, { drain: () => never }),
			component("bad", told, { drain: () => Promise.reject(new Error("no")) }),
			component("three", told, { drain: async () => 3 }),
		]);
		await lifecycle.start();
		const beganMs = performance.now();
		const { cutOff, problems } = await lifecycle.drain(50);
		expect(performance.now() - beganMs).toBeLessThan(1000);
		expect(cutOff).toBe(5);
		expect(problems).toEqual(["draining bad failed: Error: no", expect.stringMatching(/^draining late took longer than \d+ ms$/)]);
		expect(told).toContain("drain a");
	});

	it("stops the other parts although one fails, and then throws", async () => {
		const told: string[] = [];
		const lifecycle = new Lifecycle([component("a", told), component("b", told, { stop: () => Promise.reject(new Error("stuck")) })]);
		await lifecycle.start();
		await expect(lifecycle.stop()).rejects.toThrow("stuck");
		expect(told).toContain("stop a");
	});
});

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
