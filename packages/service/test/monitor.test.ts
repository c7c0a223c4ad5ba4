import { setImmediate as nextTurn, setTimeout as sleep } from "node:timers/promises";
import { expect, it } from "vitest";
import { ProcessMonitor } from "../src/index.ts";

function spin(ms: number): void {
	const endMs = performance.now() + ms;
	while (performance.now() < endMs);
}

it("measures CPU time, memory and how late the loop is, anew with each sample", async () => {
	const monitor = new ProcessMonitor();
	monitor.start();
	await sleep(50);
	const before = monitor.sample();
	for (let stall = 0; stall < 2; stall++) {
		spin(150);
		// The timer that was due in between fires now.
		await sleep(1);
		await nextTurn();
	}
	const stalled = monitor.sample();
	expect(stalled.loopLagP99Ms).toBeGreaterThan(80);
	expect(stalled.cpuMs - before.cpuMs).toBeGreaterThan(150);
	expect(stalled.residentBytes).toBeGreaterThan(10_000_000);
	await sleep(300);
	expect(monitor.sample().loopLagP99Ms).toBeLessThan(stalled.loopLagP99Ms);
	monitor.stop();
});
