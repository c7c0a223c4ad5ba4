import { describe, expect, it } from "vitest";
import { Bandwidth } from "../../src/flow/bandwidth.ts";

describe("bandwidth", () => {
	it("has no limit at 0", () => {
		const bandwidth = new Bandwidth(0, 0);
		for (let n = 0; n < 10; n++) expect(bandwidth.take(1e9, 0)).toBe(true);
		expect(bandwidth.waitMs(0)).toBe(0);
	});

	it("lets a second's worth through at once, then as much as comes in", () => {
		const bandwidth = new Bandwidth(1000, 0);
		expect(bandwidth.take(600, 0)).toBe(true);
		expect(bandwidth.take(600, 0)).toBe(true);
		expect(bandwidth.take(1, 0)).toBe(false);
		// 200 bytes are owed.
		expect(bandwidth.waitMs(0)).toBe(201);
		expect(bandwidth.take(1, 200)).toBe(false);
		expect(bandwidth.take(1, 201)).toBe(true);
	});

	it("lets a frame pass that is longer than the burst, and makes the next one wait for all of it", () => {
		const bandwidth = new Bandwidth(1000, 0);
		expect(bandwidth.take(50_000, 0)).toBe(true);
		expect(bandwidth.take(1, 48_000)).toBe(false);
		expect(bandwidth.waitMs(48_000)).toBe(1001);
		expect(bandwidth.take(50_000, 49_001)).toBe(true);
	});

	it("keeps the average for frames of any size, and what was not used for a second is lost", () => {
		const bandwidth = new Bandwidth(10_000, 0);
		let sentBytes = 0;
		let next = 1;
		for (let nowMs = 0; nowMs <= 60_000; nowMs++) {
			next = (next * 48_271) % 0x7fffffff;
			const bytes = 1 + (next % 3000);
			if (bandwidth.take(bytes, nowMs)) sentBytes += bytes;
		}
		expect(sentBytes).toBeGreaterThanOrEqual(609_000);
		expect(sentBytes).toBeLessThanOrEqual(613_000);
		let burst = 0;
		for (; bandwidth.take(100, 1e6); burst += 100);
		expect(burst).toBe(10_000);
	});

	it("applies a new rate at the next take, and recovers after any wait", () => {
		const bandwidth = new Bandwidth(1000, 0);
		bandwidth.take(1000, 0);
		bandwidth.bytesPerSecond = 100_000;
		expect(bandwidth.take(10, 0)).toBe(false);
		expect(bandwidth.take(10, 1)).toBe(true);
		bandwidth.bytesPerSecond = 0;
		expect(bandwidth.take(1e9, 1)).toBe(true);
		bandwidth.bytesPerSecond = 1000;
		expect(bandwidth.take(1, 10_000)).toBe(true);
	});

	it("does not keep an urgent frame waiting for what others owe", () => {
		const bandwidth = new Bandwidth(1000, 0);
		expect(bandwidth.take(60_000, 0)).toBe(true);
		expect(bandwidth.take(1, 1000), "a frame that is not urgent").toBe(false);
		expect(bandwidth.takeUrgent(10, 1000), "an urgent one").toBe(true);
		expect(bandwidth.waitMs(1000, true)).toBe(0);
	});

	it("keeps half of the rate for urgent frames, and lets no more than the rate pass in all", () => {
		const bandwidth = new Bandwidth(1000, 0);
		const passed = { urgent: 0, others: 0 };
		for (let nowMs = 0; nowMs < 100_000; nowMs++) {
			while (bandwidth.takeUrgent(10, nowMs)) passed.urgent += 10;
			while (bandwidth.take(10, nowMs)) passed.others += 10;
		}
		expect(passed.urgent + passed.others).toBeGreaterThan(100_000);
		expect(passed.urgent + passed.others).toBeLessThanOrEqual(102_000);
		expect(passed.others, "others while urgent frames take all they can").toBeGreaterThan(45_000);
	});

	it("tells how long an urgent frame must wait", () => {
		const bandwidth = new Bandwidth(1000, 0);
		expect(bandwidth.takeUrgent(1000, 0)).toBe(true);
		expect(bandwidth.takeUrgent(1000, 0)).toBe(false);
		expect([bandwidth.waitMs(0), bandwidth.waitMs(0, true)]).toEqual([1, 1]);
		bandwidth.take(5000, 10);
		expect(bandwidth.waitMs(10, true), "half a second's worth is owed").toBe(992);
	});

	it("never asks for a longer wait than a timer takes", () => {
		const bandwidth = new Bandwidth(1, 0);
		bandwidth.take(8 * 2 ** 20, 0);
		expect(bandwidth.waitMs(0)).toBe(2 ** 31 - 1);
	});
});
