import { describe, expect, it } from "vitest";
import { Breaker, breakerDefaults } from "../../src/backends/breaker.ts";
import { reconnectDefaults, reconnectDelayMs } from "../../src/backends/reconnect-delay.ts";

function rig(options: Partial<typeof breakerDefaults> = {}) {
	const clock = { ms: 1000 };
	const breaker = new Breaker({ ...breakerDefaults, ...options }, () => clock.ms);
	const fail = (times: number) => {
		for (let count = 0; count < times; count++) {
			if (!breaker.tryBegin()) expect.fail("no attempt was allowed");
			breaker.failed();
		}
	};
	return { clock, breaker, fail };
}

describe("the breaker of a backend", () => {
	it("opens after exactly ten failures in a row", () => {
		const { breaker, fail } = rig();
		fail(9);
		expect(breaker).toMatchObject({ state: "CLOSED", failures: 9, waitMs: 0, opened: 0 });
		fail(1);
		expect(breaker).toMatchObject({ state: "OPEN", failures: 10, waitMs: 30_000, opened: 1 });
		expect(breaker.tryBegin()).toBe(false);
	});

	it("counts only failures in a row", () => {
		const { breaker, fail } = rig();
		fail(9);
		expect(breaker.tryBegin()).toBe(true);
		breaker.succeeded();
		fail(9);
		expect(breaker.state).toBe("CLOSED");
	});

	it("is half open after 30 s, for one attempt at a time", () => {
		const { breaker, clock, fail } = rig();
		fail(10);
		clock.ms += 29_999;
		expect(breaker.state).toBe("OPEN");
		expect(breaker.tryBegin()).toBe(false);
		clock.ms += 1;
		expect(breaker.state).toBe("HALF_OPEN");
		expect(breaker.tryBegin()).toBe(true);
		expect(breaker.tryBegin(), "a second one").toBe(false);
		breaker.abandoned();
		expect(breaker.tryBegin(), "after the first one was cancelled").toBe(true);
		breaker.succeeded();
		expect(breaker).toMatchObject({ state: "CLOSED", failures: 0 });
		expect(breaker.tryBegin()).toBe(true);
	});

	it("is open for another 30 s when the attempt fails, as often as it does", () => {
		const { breaker, clock, fail } = rig();
		fail(10);
		for (let opened = 2; opened < 5; opened++) {
			clock.ms += 30_000;
			fail(1);
			expect(breaker).toMatchObject({ state: "OPEN", waitMs: 30_000, opened });
		}
		clock.ms += 30_000;
		expect(breaker.tryBegin()).toBe(true);
		breaker.succeeded();
		fail(9);
		expect(breaker.state, "ten failures are needed again").toBe("CLOSED");
	});

	it("allows as many attempts while it is half open as it was given", () => {
		const { breaker, clock, fail } = rig({ failuresMax: 1, openMs: 10, probesMax: 2 });
		fail(1);
		clock.ms += 10;
		expect([breaker.tryBegin(), breaker.tryBegin(), breaker.tryBegin()]).toEqual([true, true, false]);
	});
});

describe("the pause before a backend is dialled again", () => {
	it("is 5 s at first, doubles to 30 s, and differs by a fifth", () => {
		const pauses = (random: number) => [0, 1, 2, 3, 4, 5, 1000].map((failures) => reconnectDelayMs(reconnectDefaults, failures, random));
		expect(pauses(0.5)).toEqual([5000, 5000, 10_000, 20_000, 30_000, 30_000, 30_000]);
		expect(pauses(0)).toEqual([4000, 4000, 8000, 16_000, 24_000, 24_000, 24_000]);
		expect(pauses(1)).toEqual([6000, 6000, 12_000, 24_000, 36_000, 36_000, 36_000]);
	});
});
