import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { Watchdog, type Watched } from "../src/children/watchdog.ts";

beforeEach(() => {
	vi.useFakeTimers();
});
afterEach(() => {
	vi.useRealTimers();
});

/** A child whose heartbeat the test sets, and what the watchdog has told it. */
class Child implements Watched {
	beatMs: number | null = 1;
	readonly told: string[] = [];
	/** Its main thread. */
	thread = { ranMs: 0, waitedMs: 0, ready: false };
	asked = 0;
	scheduled() {
		this.asked++;
		return new Map([["1", { ...this.thread }]]);
	}
	onSilent(): void {
		this.told.push("silent");
	}
	onRecovered(): void {
		this.told.push("recovered");
	}
	onHung(): void {
		if (this.told.at(-1) !== "hung") this.told.push("hung");
	}
}

function watched(timeoutMs: number) {
	const child = new Child();
	const clock = { nowMs: 0 };
	const looks: number[] = [];
	const watchdog = new Watchdog({
		children: [child],
		heartbeatTimeoutMs: timeoutMs,
		onLook: (passedMs) => looks.push(passedMs),
		now: () => clock.nowMs,
	});
	watchdog.start();
	/** The machine runs for so long, and its clock with it; the child beats, or not. */
	const run = (ms: number, beats: boolean) => {
		for (let passed = 0; passed < ms; passed += 10) {
			clock.nowMs += 10;
			if (beats && clock.nowMs % 200 === 0) child.beatMs = clock.nowMs;
			vi.advanceTimersByTime(10);
		}
	};
	return { child, clock, watchdog, looks, run };
}

it("says within a second that a child does not respond, and has it killed a little after the time-out", () => {
	const { child, run } = watched(2500);
	run(5000, true);
	expect(child.told).toEqual([]);
	run(1000, false);
	expect(child.told).toEqual(["silent"]);
	run(1400, false);
	expect(child.told).toEqual(["silent"]);
	run(300, false);
	expect(child.told).toEqual(["silent", "hung"]);
});

it("reads nothing of a child that beats in time, however often it looks", () => {
	const { child, run } = watched(1000);
	run(5000, true);
	expect([child.told, child.asked]).toEqual([[], 0]);
});

it("leaves a child alone that was only held up, and says that it is back", () => {
	const { child, run } = watched(2500);
	run(1000, true);
	run(2000, false);
	run(1000, true);
	run(2000, false);
	run(200, true);
	expect(child.told).toEqual(["silent", "recovered", "silent", "recovered"]);
});

it("does not count the time in which a child waits for a CPU, but kills it after ten times the time-out", () => {
	const { child, run } = watched(1000);
	run(1000, true);
	for (let tenth = 0; tenth < 30; tenth++) {
		child.thread.waitedMs += 90;
		child.thread.ranMs += 10;
		run(100, false);
	}
	expect(child.told, "silent for 3 s, ran for 0.3 s").toEqual(["silent"]);
	run(200, true);
	run(1300, false);
	expect(child.told, "silent without waiting").toEqual(["silent", "recovered", "silent", "hung"]);
	run(200, true);
	child.thread.ready = true;
	run(9900, false);
	expect(child.told.slice(4), "one wait that does not end").toEqual(["recovered", "silent"]);
	run(400, false);
	expect(child.told.at(-1)).toBe("hung");
});

it("does not count the time in which the whole machine stood still", () => {
	const { child, clock, run } = watched(2500);
	run(1000, true);
	clock.nowMs += 60_000;
	// Children have as much time to beat again as if nothing had been.
	run(2000, false);
	expect(child.told).toEqual(["silent"]);
	run(600, false);
	expect(child.told).toEqual(["silent", "hung"]);
});

it("counts a little of each look when the machine is so slow that all of them come late", () => {
	const { child, clock, run } = watched(2500);
	for (let look = 0; look < 20; look++) {
		clock.nowMs += 900;
		run(100, false);
	}
	expect(child.told).toEqual(["silent", "hung"]);
});

it("does not look at a child that has no reason to beat, and gives it the whole time once it has", () => {
	const { child, run } = watched(1000);
	child.beatMs = null;
	run(5000, false);
	child.beatMs = 1;
	run(700, false);
	expect(child.told).toEqual([]);
	run(500, false);
	expect(child.told).toEqual(["silent", "hung"]);
});

it("takes up another time-out while it runs, and looks no more once it has been stopped", () => {
	const { child, watchdog, run } = watched(10_000);
	run(2000, false);
	expect(child.told).toEqual(["silent"]);
	watchdog.heartbeatTimeoutMs = 1000;
	run(200, false);
	expect(child.told).toEqual(["silent", "hung"]);
	watchdog.stop();
	child.beatMs = 2;
	run(5000, false);
	expect(child.told).toEqual(["silent", "hung"]);
});

it("looks five times a second, and tells who looks with it how much time the children have had", () => {
	const { clock, looks, run } = watched(2500);
	run(1000, true);
	expect(looks).toEqual([200, 200, 200, 200, 200]);
	clock.nowMs += 60_000;
	run(200, true);
	expect(looks.at(-1)).toBe(400);
});

it("counts the silence from the heartbeat, not from the look that saw it", () => {
	const { child, clock, run } = watched(2500);
	run(990, true);
	child.beatMs = clock.nowMs - 180;
	run(2400, false);
	expect(child.told).toEqual(["silent"]);
	// The next look: 2590 ms after the heartbeat.
	run(10, false);
	expect(child.told).toEqual(["silent", "hung"]);
});
