import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { freePorts, ManagedProcess } from "@shardcast/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import type { DoctorReport } from "../src/doctor/report.ts";

const main = join(import.meta.dirname, "../dist/main.js");
let folder: string;
beforeEach(() => {
	folder = mkdtempSync("/dev/shm/shardcast-test-");
});
afterEach(() => rmSync(folder, { recursive: true }));

it("shardcast doctor examines this machine: status 1 and the reason when the port is taken, 0 when it is free; it leaves nothing behind", async () => {
	const port = await freePorts(2);
	const options = ["--cluster-directory", folder, "--shards", "1", "--base-port", `${port + 1}`, "--lb-addr", `127.0.0.1:${port}`];
	const doctor = async (...more: string[]) => {
		const child = await ManagedProcess.start(main, ["doctor", ...options, "--max-connections", "100", ...more], {});
		const { code } = await child.exited;
		return { code, output: child.log() };
	};
	const server = createServer();
	await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
	const taken = await doctor();
	await new Promise((resolve) => server.close(resolve));
	expect(taken.output).toContain(`  problem  --lb-addr: port ${port} is taken`);
	expect(taken.code, taken.output).toBe(1);

	const free = await doctor("--json");
	const report = JSON.parse(free.output) as DoctorReport;
	const problems = report.findings.filter(({ status }) => status === "problem");
	expect(problems).toEqual([]);
	expect(free.code).toBe(0);
	const ids = report.findings.map(({ id }) => id);
	expect(ids).toEqual(
		expect.arrayContaining([
			"node",
			"native",
			"websocket-library",
			"handoff",
			"cpus",
			"shared-memory",
			"leftovers",
			"clock",
			"ports",
			"tls",
		]),
	);
	for (const { status, fix, why } of report.findings)
		if (status !== "ok" && (fix === "" || why === "")) expect.fail(JSON.stringify(report));
	expect(readdirSync(folder)).toEqual([]);
});
