import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import type { FaultReport } from "../src/faults/report.ts";

const program = join(import.meta.dirname, "../dist/faults/main.js");

/** @param interrupt a line of the output after which it gets SIGINT. */
async function faults(
	args: readonly string[],
	interrupt?: RegExp,
): Promise<{ status: number | null; output: string; report: FaultReport }> {
	const folder = mkdtempSync(join(tmpdir(), "shardcast-faults-test-"));
	onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
	const json = join(folder, "report.json");
	// A process group, as a terminal's: Ctrl-C goes to all of it.
	const child = spawn(process.execPath, [program, ...args, "--json", json], { stdio: ["ignore", "pipe", "inherit"], detached: true });
	let output = "";
	let isInterrupted = false;
	child.stdout.setEncoding("utf8").on("data", (text: string) => {
		output += text;
		if (!isInterrupted && interrupt?.test(output) === true) isInterrupted = process.kill(-child.pid!, "SIGINT");
	});
	const status = await new Promise<number | null>((resolve) => child.once("close", resolve));
	return { status, output, report: JSON.parse(readFileSync(json, "utf8")) as FaultReport };
}

it("some faults of each sort: nothing is lost, duplicated, reordered or leaked", async () => {
	const kinds = ["kill-shard", "kill-balancer", "pause-shard", "full-memory", "no-descriptors", "mutated-frames", "jump-clock"];
	const { status, output, report } = await faults(["--only", kinds.join(","), "--seed", "15"]);
	expect(status, output).toBe(0);
	expect(report.outcomes.map(({ kind }) => kind).toSorted()).toEqual(kinds.toSorted());
	// As another user than root, memory cannot be filled without disturbing others.
	const skipped = report.outcomes.filter(({ serviceMs }) => serviceMs === null).map(({ kind }) => kind);
	expect(skipped, output).toEqual(process.getuid?.() === 0 ? [] : ["full-memory"]);
	expect(report.publications).toBeGreaterThan(50);
	expect(output).toContain("seed 15: repeat with --seed 15");
});

it("a run that is interrupted within a fault undoes it and leaves nothing", { tags: ["long"] }, async () => {
	const { status, output, report } = await faults(["--minutes", "5", "--only", "pause-shard", "--seed", "15"], /^1 pause-shard/m);
	expect(status, output).toBe(130);
	// The cluster has ended in order, with its children and files: anything left would be counted.
	expect(report).toMatchObject({ interrupted: true, problems: [], wrong: { leaked: 0 } });
});
