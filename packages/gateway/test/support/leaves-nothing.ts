import { readdirSync } from "node:fs";
import { afterEach, beforeEach, expect } from "vitest";

const closings: (() => unknown)[] = [];

/** Called after the test, before it is checked that nothing is left. */
export function closing(close: () => unknown): void {
	closings.push(close);
}

/** How many timers, sockets and descriptors this process has. */
function resources(): Map<string, number> {
	const counts = new Map([["descriptors", readdirSync("/proc/self/fd").length]]);
	for (const each of process.getActiveResourcesInfo())
		if (/TCP|Timeout|Immediate|UDP/.test(each)) counts.set(each, (counts.get(each) ?? 0) + 1);
	return counts;
}

/** Checks after each test of the file that it left no timer, socket or descriptor. */
export function leavesNothing(): void {
	let had = new Map<string, number>();
	beforeEach(() => {
		had = resources();
	});
	afterEach(async () => {
		await Promise.all(closings.splice(0).map((each) => each()));
		const more = () => [...resources()].filter(([what, count]) => count > (had.get(what) ?? 0));
		await expect.poll(more, { message: "what is left" }).toEqual([]);
	});
}
