import { existsSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { startCluster } from "../src/cluster.ts";
import { descendantsOf, isAlive } from "../src/processes/proc.ts";
import { waitFor } from "../src/wait.ts";
import { LibraryClient, RawClient } from "../src/websocket/test-client.ts";

describe("startCluster", () => {
	it("starts the real command on separate ports, tells its processes, and leaves nothing behind", async () => {
		const temporary = mkdtempSync(join(tmpdir(), "cluster-"));
		onTestFinished(() => rmSync(temporary, { recursive: true }));
		vi.stubEnv("TMPDIR", temporary);
		onTestFinished(() => void vi.unstubAllEnvs());
		const config = "limits: { max_connections: 80 }\n";
		const cluster = await startCluster({ shards: 2, config, flags: ["--shutdown-timeout", "5s"] });
		expect((await cluster.health()).maxConnections).toBe(80);
		expect(readdirSync(temporary)).toHaveLength(1);
		const pids = await cluster.pids();
		expect([...pids.keys()]).toEqual(["supervisor", "balancer", "shard 0", "shard 1"]);
		expect(new Set(pids.values()).size).toBe(4);
		expect(cluster.sharedDirectories()).toHaveLength(1);

		const one = await LibraryClient.open(cluster.url);
		const other = await RawClient.open(cluster.shardUrl(1));
		one.send("through the balancer");
		await other.waitForMessages(1);
		expect(other.texts()).toEqual(["through the balancer"]);
		expect((await cluster.health()).connections).toBe(2);
		await Promise.all([one.close(), other.close()]);

		const family = descendantsOf(cluster.process.pid);
		expect(family.length).toBeGreaterThanOrEqual(3);
		const [directory] = cluster.sharedDirectories();
		expect(await cluster.stop()).toEqual({ code: 0, signal: null });
		expect(existsSync(directory)).toBe(false);
		expect(readdirSync(temporary)).toEqual([]);
		expect(family.filter(isAlive)).toEqual([]);
	});

	it("kills one process at a time, and says what is left when the cluster can not clean up", { tags: ["long"] }, async () => {
		// In a folder that no other test uses: any cluster that starts clears what dead ones have left there.
		const base = mkdtempSync("/dev/shm/shardcast-test-");
		onTestFinished(() => rmSync(base, { recursive: true }));
		const flags = ["--cluster-directory", base];
		const cluster = await startCluster({ shards: 1, flags });
		const before = (await cluster.health()).shards[0].pid;
		expect(await cluster.kill9(0)).toBe(before);
		await waitFor(async () => (await cluster.health()).shards[0].pid !== before, {
			deadlineMs: 10_000,
			what: "another process for shard 0",
		});

		const family = descendantsOf(cluster.process.pid);
		await cluster.kill9("supervisor");
		await waitFor(() => !family.some(isAlive), { deadlineMs: 5_000, what: "the end of all children" });
		await expect(cluster.stop()).rejects.toThrow(`the cluster left ${base}/`);
		// What a killed cluster leaves is removed when the next one starts.
		await (await startCluster({ shards: 1, flags })).stop();
		expect(cluster.sharedDirectories()).toEqual([]);
	});

	it("fails with the cluster's own words when it can not start", async () => {
		await expect(startCluster({ flags: ["--batch", "none"] })).rejects.toThrow(/exit status 2[\s\S]*--batch/);
	});
});
