import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach } from "vitest";

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
	beforeEach(async () => {
		had = resources();
		// Vitest may have one for the tenth of a second in which it collects what it reports. What stays is of an earlier file of this process.
		for (let looks = 0; looks < 10 && had.has("Timeout"); looks++) {
			await sleep(20);
			had = resources();
		}
	});
	afterEach(async () => {
		await Promise.all(closings.splice(0).map((each) => each()));
		const isMore = () => {
			const more = [...resources()].filter(([what, count]) => count > (had.get(what) ?? 0));
			if (more.length > 0)
				throw new Error(more.map(([what, count]) => `${count} ${what}, and there were ${had.get(what) ?? 0}`).join("; "));
			return true;
		};
		// Not `expect.poll`, which itself has a timer meanwhile.
		await waitFor(isMore, { deadlineMs: 4000, what: "nothing is left" });
	});
}
