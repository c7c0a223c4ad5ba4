import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Watchdog } from "../src/children/watchdog.ts";

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

function watched(timeoutMs: number) {
	const looks: number[] = [];
	const clock = { nowMs: 0 };
	const watchdog = new Watchdog([{ checkHeartbeat: (nowMs) => looks.push(nowMs) }], timeoutMs, () => clock.nowMs);
	/** The machine runs for so long, and its clock with it. */
	const run = (ms: number) => {
		for (let passed = 0; passed < ms; passed += 10) {
			clock.nowMs += 10;
			vi.advanceTimersByTime(10);
		}
	};
	return { looks, clock, watchdog, run };
}

it("looks every second, or four times per time-out when that is shorter", () => {
	const slow = watched(10_000);
	slow.watchdog.start();
	slow.run(3000);
	expect(slow.looks).toEqual([1000, 2000, 3000]);
	slow.watchdog.stop();
	const quick = watched(400);
	quick.watchdog.start();
	quick.run(300);
	expect(quick.looks).toEqual([100, 200, 300]);
	quick.watchdog.stop();
});

it("lets one look pass after the machine stood still, and only one", () => {
	const { looks, clock, watchdog, run } = watched(10_000);
	watchdog.start();
	run(1000);
	clock.nowMs += 60_000;
	run(2000);
	expect(looks).toEqual([1000, 63_000]);
	watchdog.stop();
});

it("looks no more once it has been stopped", () => {
	const { looks, watchdog, run } = watched(10_000);
	watchdog.start();
	watchdog.stop();
	run(5000);
	expect(looks).toEqual([]);
});
