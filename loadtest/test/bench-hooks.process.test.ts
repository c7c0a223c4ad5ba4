// @module-tag long
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { ManagedProcess } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import type { BenchResult } from "../src/bench/support/report.ts";

const program = join(import.meta.dirname, "../dist/bench/hooks/hooks.js");

describe("bench:hooks", () => {
	it("one short round measures every variant, against the one without a backend", async () => {
		const run = await ManagedProcess.start(program, ["--rounds", "1", "--connections", "20"]);
		const { code } = await run.exited;
		expect(code, run.log()).toBe(0);
		const saved = [...run.log().matchAll(/^saved: (.+)$/gm)].map(([, path]) => path!);
		const results = saved.map((path) => JSON.parse(readFileSync(path, "utf8")) as BenchResult);
		for (const path of saved) rmSync(path);
		expect(
			results.map(({ name, baseline, summary }) => [name, baseline, ...Object.keys(summary)]),
			"results, each with its baseline and its variants",
		).toEqual([
			["hooks-webhooks", "off", "off", "on"],
			["hooks-connect", "open", "open", "hs256", "rs256", "hook"],
			["hooks-commands", "publish", "publish", "publishHook", "rpcHook"],
		]);
		const figures = results.flatMap(({ summary }) => Object.values(summary).flatMap((variant) => Object.values(variant)));
		expect(
			figures.filter(({ median }) => !(median > 0)),
			"figures that are not above zero",
		).toEqual([]);
	});

	it("a number that makes no sense is refused by name", async () => {
		const run = await ManagedProcess.start(program, ["--connections", "0"]);
		expect((await run.exited).code, "exit status for --connections 0").toBe(2);
		expect(run.log()).toContain("--connections 0: give a whole number from 1 to 12000");
	});
});
