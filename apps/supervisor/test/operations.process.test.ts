import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ShardState } from "@shardcast/scoreboard";
import { descendantsOf, waitFor } from "@shardcast/testkit";
import { Heartbeat, monotonicMs } from "@shardcast/wire";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeCluster } from "./support/fake-cluster.ts";

let cluster: FakeCluster;
let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "shardcast-"));
});
afterEach(async () => {
	await cluster.clean();
	rmSync(folder, { recursive: true });
});

/** The board's view of whether shards are drained, and their limits. */
function shards(): { drained: boolean[]; limits: number[] } {
	const board = cluster.board();
	const rows = board.rows();
	const seen = { drained: rows.map(({ isDrained }) => isDrained), limits: rows.map(({ connectionsGiven }) => connectionsGiven) };
	board.close();
	return seen;
}

async function start(faults: object = {}, config: object = {}, count = 2): Promise<void> {
	cluster = await FakeCluster.start({ shards: count, faults, config: { maxConnections: 100, ...config } });
	await cluster.ready();
	// On a busy machine, a shard that serves may not have shown it yet, and an operation on the other one is refused then.
	const board = cluster.board();
	const takes = (row: ReturnType<typeof board.row>) =>
		row.state === ShardState.serving && monotonicMs() - row.get("heartbeatMs") <= Heartbeat.silentMs;
	await waitFor(() => board.rows().every(takes), { what: "all shards take clients", deadlineMs: 10_000 });
	board.close();
}

describe("drain", () => {
	it("a shard that is killed in the middle of it is started again, drained, and the lost clients are counted", async () => {
		await start({ "shard 0": { connections: 5, keeps: 3 } });
		const drain = cluster.operate("drain", 0);
		await waitFor(() => cluster.events("supervisor", "progress").length > 0, { what: "progress", deadlineMs: 5000 });
		const board = cluster.board();
		await waitFor(() => board.row(0).webSockets === 3, { what: "3 clients left", deadlineMs: 5000 });
		// What the shard counts as clients that are connected, and what the supervisor counts as lost.
		board.row(0).add("opened", 3);
		board.close();
		process.kill((await cluster.event("shard 0", "started")).pid, "SIGKILL");
		expect((await drain).result).toMatchObject({ moved: 2, left: 0, lost: 3 });
		await cluster.event("shard 0", "started", 2);
		expect(shards().drained).toEqual([true, false]);
		expect(await cluster.process.stop()).toEqual({ code: 0, signal: null });
	});

	it("a shard that crashes while another one is drained keeps its part of the drained one's share", async () => {
		await start({}, {}, 3);
		expect((await cluster.operate("drain", 2)).result).toMatchObject({ left: 0 });
		expect(shards().limits).toEqual([50, 50, 50]);
		process.kill((await cluster.event("shard 1", "started")).pid, "SIGKILL");
		await cluster.event("shard 1", "started", 2);
		expect(shards().limits).toEqual([50, 50, 50]);
		expect(await cluster.process.stop()).toEqual({ code: 0, signal: null });
	});
});

describe("restart", () => {
	it("a version that cannot be loaded changes nothing", async () => {
		await start({ "shard 0": { connections: 5 }, brokenFile: join(folder, "broken") });
		writeFileSync(join(folder, "broken"), "");
		const { error } = await cluster.operate("rollingRestart");
		expect(error).toMatchObject({
			name: "OperationAborted",
			message: "a new process of shard 0 could not be loaded: it ended with exit status 1; shard 0 runs as before",
		});
		expect(cluster.events("shard 0", "offload")).toEqual([]);
		expect(shards().drained).toEqual([false, false]);
	});

	it("a version that crashes at its start ends the rolling restart: the other shards go on, no crash loop, and a later restart repairs it", async () => {
		const file = join(folder, "fatal");
		await start({ "shard 0": { fatalFile: file } }, { crashLimit: 1 });
		writeFileSync(file, "");
		const { error } = await cluster.operate("rollingRestart");
		expect(error?.message).toMatch(
			/^shard 0 failed with a fatal error \(the new version does not start\) before it served\. The other shards run as before\./,
		);
		expect(shards()).toEqual({ drained: [true, false], limits: [100, 100] });
		expect((await cluster.operate("undrain", 0)).error).toMatchObject({ code: "not_possible" });
		expect(cluster.events("shard 1", "started")).toHaveLength(1);
		rmSync(file);
		expect((await cluster.operate("restart", 0)).result).toMatchObject({ shard: 0, moved: 0 });
		expect(shards()).toEqual({ drained: [false, false], limits: [50, 50] });
	});

	it("a process that is loaded for it and dies while the clients leave is replaced by another", async () => {
		await start({ "shard 0": { connections: 5, keeps: 3 } });
		const known = cluster.events(undefined, "started").map(({ pid }) => pid);
		const restart = cluster.operate("restart", 0, { timeoutMs: 1500 });
		await cluster.event("shard 0", "offload");
		const loaded = descendantsOf(cluster.process.pid).filter(({ pid }) => !known.includes(pid));
		expect(loaded).toHaveLength(1);
		process.kill(loaded[0].pid, "SIGKILL");
		expect((await restart).result).toMatchObject({ shard: 0, moved: 2, left: 0, cutOff: 3 });
		expect(shards().drained).toEqual([false, false]);
	});

	it("rolling: one shard after the other, then the balancer", async () => {
		// Before the next shard it waits until those that were moved are back.
		const clients = { connections: 5, laterConnections: 5 };
		await start({ "shard 0": clients, "shard 1": clients });
		const { result } = await cluster.operate("rollingRestart");
		expect(result).toMatchObject({
			shards: [
				{ shard: 0, moved: 5 },
				{ shard: 1, moved: 5 },
			],
			balancer: { restarted: true },
		});
		const steps = cluster.events().filter(({ event, name }) => name !== "supervisor" && ["started", "drain"].includes(event));
		expect(steps.slice(3).map(({ name, event }) => `${name} ${event}`)).toEqual([
			"shard 0 drain",
			"shard 0 started",
			"shard 1 drain",
			"shard 1 started",
			"balancer drain",
			"balancer started",
		]);
		expect(shards()).toEqual({ drained: [false, false], limits: [50, 50] });
		expect(cluster.process.log()).not.toMatch(/died/);
	});

	it("SIGTERM during a rolling restart stops the cluster in order, without a process more", async () => {
		await start({ "shard 0": { connections: 5, keeps: 3 } });
		const rolling = cluster.operate("rollingRestart");
		await cluster.event("shard 0", "offload");
		cluster.process.signal("SIGTERM");
		expect((await rolling).error).toMatchObject({ name: "OperationAborted", message: "the cluster stops: SIGTERM" });
		expect(await cluster.process.exited).toEqual({ code: 0, signal: null });
		expect(cluster.events("shard 0", "started")).toHaveLength(1);
	});
});
