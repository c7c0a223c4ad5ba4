import { describe, expect, it } from "vitest";
import { scheduled, waitedForCpu } from "../src/index.ts";

const thread = (ranMs: number, waitedMs: number, ready: boolean) => ({ ranMs, waitedMs, ready });
const threads = (...all: ReturnType<typeof thread>[]) => new Map(all.map((each, index) => [String(index), each]));

describe("waitedForCpu", () => {
	it.each([
		["a thread that sleeps", threads(thread(10, 5, false)), threads(thread(10, 5, false)), 0],
		["one that runs all the time", threads(thread(10, 5, true)), threads(thread(210, 5, true)), 0],
		["waits that have ended", threads(thread(10, 5, false)), threads(thread(60, 125, false)), 120],
		["a wait that goes on", threads(thread(10, 5, true)), threads(thread(50, 5, true)), 160],
		[
			"the thread that waited longest",
			threads(thread(0, 0, false), thread(0, 0, false)),
			threads(thread(9, 20, false), thread(0, 70, false)),
			70,
		],
		["no longer than there was time", threads(thread(0, 0, false)), threads(thread(0, 900, false)), 200],
		["nothing of a thread that is new", threads(), threads(thread(0, 150, false)), 0],
	])("counts %s", (_, before, now, waited) => {
		expect(waitedForCpu(before, now, 200)).toBe(waited);
	});
});

describe("scheduled", () => {
	it("reads the threads of a process: one that runs has run", () => {
		const before = scheduled(process.pid).get(String(process.pid))!;
		const endsMs = performance.now() + 30;
		while (performance.now() < endsMs);
		const now = scheduled(process.pid).get(String(process.pid))!;
		expect(before.ready).toBe(true);
		expect(now.ranMs + now.waitedMs).toBeGreaterThan(before.ranMs + before.waitedMs + 10);
	});

	it("reads nothing of a process that is not there", () => {
		expect(scheduled(2 ** 30).size).toBe(0);
	});
});
