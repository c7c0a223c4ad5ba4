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
		const run = await ManagedProcess.start(program, ["--rounds", "1", "--clients", "20", "--rate", "400", "--load", "--compare"]);
		const { code } = await run.exited;
		expect(code, run.log()).toBe(0);
		const saved = [...run.log().matchAll(/^saved: (.+)$/gm)].map(([, path]) => path!);
		const results = saved.map((path) => JSON.parse(readFileSync(path, "utf8")) as BenchResult);
		for (const path of saved) rmSync(path);
		expect(
			results.map(({ name, summary }) => [name, ...Object.keys(summary)]),
			"results with their variants",
		).toEqual([
			["gateway-load", "40/s", "120/s", "240/s", "400/s", "800/s"],
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

	it("a number that makes no sense is refused by name", async () => {
		const run = await ManagedProcess.start(program, ["--rate", "0"]);
		expect((await run.exited).code, "exit status for --rate 0").toBe(2);
		expect(run.log()).toContain("--rate 0: give a whole number from 1 to 1000000");
	});
});
