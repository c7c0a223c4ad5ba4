import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";
import { availableCpus } from "../src/index.ts";

/** CPU time of the helper threads for 1 ms of the thread that makes the garbage. */
function helpers(garbage: "arrayBuffers" | "objects", ...pinned: readonly string[]): number {
	const [command, ...args] = [...pinned, process.execPath, join(import.meta.dirname, "programs/collections.mjs"), garbage];
	const { own, others } = JSON.parse(execFileSync(command!, args, { encoding: "utf8" })) as {
		readonly own: number;
		readonly others: number;
	};
	expect(own, "ms of the main thread").toBeGreaterThan(50);
	return others / own;
}

it("other threads take no part in freeing ArrayBuffers", () => {
	expect(helpers("arrayBuffers")).toBeLessThan(0.1);
});

const canPin = spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;

it.skipIf(!canPin)("on one CPU (needs taskset, of util-linux), other threads take no part in collections of young garbage", () => {
	const [cpu] = availableCpus().cpus;
	expect(helpers("objects", "taskset", "-c", String(cpu))).toBeLessThan(0.1);
});
