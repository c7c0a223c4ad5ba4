import { execFileSync, spawnSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { availableCpus } from "../src/index.ts";

const program = join(import.meta.dirname, "programs/garbage-collection.mjs");
const canPin = spawnSync("taskset", ["--version"], { stdio: "ignore" }).status === 0;
const onOneCpu = ["taskset", "-c", String(availableCpus().cpus[0])];

/** CPU time of the other threads for 1 ms of the thread that makes the garbage. */
function othersShare(before: readonly string[], ...args: readonly string[]): number {
	const [command, ...rest] = [...before, process.execPath, program, ...args];
	const { own, others } = JSON.parse(execFileSync(command!, rest, { encoding: "utf8" })) as {
		readonly own: number;
		readonly others: number;
	};
	expect(own, "ms of the main thread").toBeGreaterThan(20);
	return others / own;
}

it("other threads take no part in freeing ArrayBuffers", () => {
	expect(othersShare([], "arrayBuffers")).toBeLessThan(othersShare([], "arrayBuffers", "plain") / 3);
});

describe.skipIf(!canPin)("on one CPU (needs taskset, of util-linux)", () => {
	it("other threads take no part in collections of young garbage", () => {
		expect(othersShare(onOneCpu, "objects")).toBeLessThan(othersShare(onOneCpu, "objects", "plain") / 3);
	});
});
