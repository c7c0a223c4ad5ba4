import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { HeartbeatTimer } from "../src/heartbeat-timer.ts";
import { ProcessMonitor } from "../src/monitor.ts";

/** Keeps the loop busy for so much CPU time, which on a busy machine takes longer by the clock. */
function spin(ms: number): void {
	const began = process.cpuUsage();
	for (let usedUs = 0; usedUs < ms * 1000; ) {
		const { user, system } = process.cpuUsage(began);
		usedUs = user + system;
	}
}

it("measures CPU time, memory and how late the loop is, afresh with each sample", { tags: ["long"] }, async () => {
	const monitor = new ProcessMonitor();
	monitor.start();
	// Whether the process is busy is judged from here on; before, it may have waited for long.
	monitor.sample(0);
	spin(50);
	const before = monitor.sample(0);
	for (let stall = 0; stall < 2; stall++) {
		spin(100);
		// The timer that was due in between fires now.
		await sleep(1);
		await nextTurn();
	}
	const stalled = monitor.sample(0);
	expect(stalled.loopLagP99Ms).toBeGreaterThan(40);
	expect(stalled.cpuMs - before.cpuMs).toBeGreaterThan(150);
	expect(stalled.residentBytes).toBeGreaterThan(10_000_000);
	// A busy machine may stall the loop by itself, but not for this long each time.
	await expect.poll(() => monitor.sample(0).loopLagP99Ms, { interval: 300 }).toBeLessThan(stalled.loopLagP99Ms);
	monitor.stop();
});

it("each sample is told how late the latest heartbeat was since the one before", { tags: ["long"] }, async () => {
	const told: number[] = [];
	const heartbeat = new HeartbeatTimer({
		counters: { set: () => {} },
		sample: (beatLateMs) => {
			told.push(beatLateMs);
			return { cpuMs: 0, residentBytes: 0, loopLagP99Ms: 0 };
		},
	});
	heartbeat.start();
	spin(280);
	await expect.poll(() => told.length).toBe(2);
	heartbeat.stop();
	expect(told[0]).toBe(0);
	expect(told[1]).toBeGreaterThan(70);
});
