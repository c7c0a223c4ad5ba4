// @module-tag long
import { spawnSync } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ManagedProcess } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import type { BenchResult } from "../src/bench/support/report.ts";

const program = join(import.meta.dirname, "../dist/bench/gateway/gateway.js");
const isInstalled = (name: string, ask: string) => spawnSync(name, [ask]).status === 0;

describe("bench:gateway", () => {
	it("one short round measures every load, and every way that is installed", async () => {
		const run = await ManagedProcess.start(program, ["--rounds", "1", "--clients", "20", "--rate", "100", "--load", "--compare"]);
		const { code } = await run.exited;
		expect(code, run.log()).toBe(0);
		expect(run.log()).toContain("gateway-load: 1 round of 10/s, ");
		expect(run.log(), "the line of a target").toMatch(/^(met|MISSED|unsure) +200\/s CONTROL, client to backend, p99 \(ms\) ≤ 1: median /m);
		const saved = [...run.log().matchAll(/^saved: (.+)$/gm)].map(([, path]) => path!);
		const results = saved.map((path) => JSON.parse(readFileSync(path, "utf8")) as BenchResult);
		for (const path of saved) rmSync(path);
		expect(
			results.map(({ name, summary }) => [name, ...Object.keys(summary)]),
			"results with their variants",
		).toEqual([
			["gateway-load", "10/s", "30/s", "60/s", "100/s", "200/s"],
			[
				"gateway-compare",
				...(isInstalled("haproxy", "-v") ? ["haproxy"] : []),
				"gateway",
				...(isInstalled("websockify", "--help") ? ["websockify"] : []),
			],
		]);
		const mayBeZero = ["videoSkippedPercent", "gatewayWaitedPercent", "otherCpuPercent", "stolenPercent"];
		const figures = results.flatMap(({ summary }) =>
			Object.entries(summary).flatMap(([variant, each]) => Object.entries(each).map(([name, { median }]) => ({ variant, name, median }))),
		);
		expect(
			figures.filter(({ name, median }) => !(median > 0) && !mayBeZero.includes(name)),
			"figures that are not above zero",
		).toEqual([]);
	});

	it("--help gives what each number is when it is not given", async () => {
		const run = await ManagedProcess.start(program, ["--help"]);
		expect((await run.exited).code).toBe(0);
		expect(run.log()).toMatch(/--rounds n .*\(frames 3, load 5, compare 2\)$/m);
		expect(run.log()).toMatch(/--rate n .*\(100000\)$/m);
	});

	it("a number that makes no sense is refused by name", async () => {
		// With less, some latencies would have no samples.
		const run = await ManagedProcess.start(program, ["--rate", "99"]);
		expect((await run.exited).code, "exit status for --rate 99").toBe(2);
		expect(run.log()).toContain("--rate 99: give a whole number from 100 to 1000000");
	});
});
