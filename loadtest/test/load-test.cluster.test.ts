import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManagedProcess, redisForTests } from "@shardcast/testkit";
import { describe, expect, it } from "vitest";
import type { LoadTestResult } from "../src/report/result.ts";

const program = join(import.meta.dirname, "../dist/main.js");

/** That of the cluster that it starts. */
const compileCache = join(import.meta.dirname, "../../apps/supervisor/dist/compile-cache");
const hasRedis = redisForTests();

async function loadCluster(
	start: string,
	flags: readonly string[],
): Promise<{ status: number | null; output: string; result: LoadTestResult }> {
	const directory = mkdtempSync(join(tmpdir(), "load-test-"));
	try {
		const json = join(directory, "result.json");
		const run = await ManagedProcess.start(program, ["--start", start, "--hold", "50ms", "--json", json, ...flags], {
			env: { NODE_COMPILE_CACHE: compileCache },
		});
		const { code } = await run.exited;
		return { status: code, output: run.log(), result: JSON.parse(readFileSync(json, "utf8")) as LoadTestResult };
	} finally {
		rmSync(directory, { recursive: true, force: true });
	}
}

describe("load test of a cluster that it starts itself", () => {
	for (const shards of [2, 3])
		it(`every client of ${shards} shards gets each broadcast exactly once, and the shards are evenly filled`, {
			tags: shards === 3 ? ["long"] : [],
		}, async () => {
			const { status, output, result } = await loadCluster(`--shards ${shards}`, [
				// With 300, two shards would have to be equal: a connection that is on its way counts twice for a moment, so they may differ by two.
				"--connections",
				"600",
				"--rate",
				"50",
				"--duration",
				"1s",
				"--senders",
				"4",
			]);
			expect(output).toContain("passed");
			expect(status).toBe(0);
			expect(result.send).toMatchObject({ sent: 50, expected: 50 * 599, deliveries: 50 * 599 });
			expect(result.shards!.connections).toHaveLength(shards);
			expect(result.shards!.spreadPercent).toBeLessThanOrEqual(1);
			expect(result.servers!.map(({ name }) => name).slice(0, 2)).toEqual(["supervisor", "balancer"]);
			expect(result.servers).toHaveLength(shards + 2);
			expect(result.cpuUsPerDelivery).toBeGreaterThan(0);
		});

	it("clients of two shards that come and go while messages are sent miss none; a crossed threshold alone ends it with status 3", async () => {
		const { status, output, result } = await loadCluster("--shards 2", [
			...["--ramp", "20-80:500ms,80:800ms,80-40:300ms", "--ramp-rate", "20-100:1s"],
			...["--senders", "3", "--generator", "2/3", "--settle", "2s", "--processes", "2", "--fail-if", "p50<1m"],
		]);
		expect(output).toContain("the threshold p50<1m is crossed");
		expect(status).toBe(3);
		expect(result.problems).toEqual([]);
		expect(result.options).toMatchObject({ receiversAreProcesses: true, receivers: 2, durationMs: 1600 });
		expect(result.connects).toMatchObject({ failures: {} });
		// A busy machine looks less often at what the stages say.
		expect(result.connects!.opened).toBeGreaterThan(40);
		expect(result.connects!.opened).toBeLessThanOrEqual(80);
		expect(result.send!.delivery).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, unexpected: 0 });
		expect(result.send!.deliveries).toBeGreaterThanOrEqual(result.send!.expected);
		expect(result.shards!.connections.reduce((sum, { connections }) => sum + connections, 0)).toBe(40);
	});

	it("each message of a channel goes to the clients of that channel, on whichever shard they are", { tags: ["long"] }, async () => {
		const { status, result } = await loadCluster("--shards 2", [
			"--connections",
			"330",
			"--scenario",
			"channels",
			"--rate",
			"300",
			"--duration",
			"1s",
		]);
		expect(result.send).toMatchObject({ sent: 300, expected: 3_000, deliveries: 3_000 });
		expect(result.send!.delivery).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, unexpected: 0 });
		expect(status).toBe(0);
	});

	it("separate senders publish over HTTP, each in order, to everybody and to channels", { tags: ["long"] }, async () => {
		const http = ["--source", "http", "--connections", "200", "--rate", "200", "--duration", "1s"];
		const all = await loadCluster("--shards 2", [...http, "--senders", "8"]);
		expect(all.output).toContain("passed");
		expect(all.result.send).toMatchObject({ sent: 200, expected: 200 * 200, deliveries: 200 * 200, refusals: {} });
		const channels = await loadCluster("--shards 2", [...http, "--scenario", "channels", "--channel-size", "9"]);
		expect(channels.output).toContain("passed");
		expect(channels.result.send).toMatchObject({ sent: 200, expected: 2_000, deliveries: 2_000 });
	});

	it.skipIf(!hasRedis)(
		"clients of two nodes with one Redis get each broadcast once, and each node has a row",
		{ tags: ["long"] },
		async () => {
			const flags = ["--nodes", "2", "--connections", "200", "--rate", "50", "--duration", "1s", "--senders", "3"];
			const { status, output, result } = await loadCluster("--shards 1", flags);
			expect(output).toContain("passed");
			expect(status).toBe(0);
			expect(result.send).toMatchObject({ sent: 50, expected: 50 * 199, deliveries: 50 * 199 });
			expect(result.nodes).toHaveLength(2);
			// A sender does not get its own messages: those of senders 0 and 2 (17 and 16) are missing on the first node, of sender 1 (17) on the second.
			expect(result.nodes!.map(({ expected }) => expected)).toEqual([50 * 100 - 33, 50 * 100 - 17]);
			for (const { connections, expected, received, cpuMs, p99Ms } of result.nodes!) {
				expect(connections).toBe(100);
				expect(received).toBe(expected);
				expect(cpuMs).toBeGreaterThan(0);
				expect(p99Ms).toBeGreaterThan(0);
			}
			expect(result.servers).toHaveLength(2 * 3);
			expect(output).toMatch(/^all nodes +200 /m);
		},
	);

	it("tells how many connections a cluster that is too small refused", { tags: ["long"] }, async () => {
		const { status, output } = await loadCluster("--shards 2 --max-connections 50", ["--connections", "60"]);
		expect(status).toBe(1);
		expect(output).toMatch(/10 of 60 connections did not open: 10 × refused with 503/);
	});
});
