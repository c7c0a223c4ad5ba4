import { holderOf, tryLock, unlock } from "@shardcast/channel-log";
import { ClusterState, ShardState } from "@shardcast/scoreboard";
import { identify, isAlive, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { FakeCluster, type FakeEvent } from "./support/fake-cluster.ts";

let cluster: FakeCluster;

const pidsOf = (events: FakeEvent[]) => events.map(({ pid }) => identify(pid));

describe("restart, in one cluster", () => {
	beforeAll(async () => {
		cluster = await FakeCluster.start({ config: { lbAddr: "127.0.0.1:0" } });
		await cluster.ready();
	});
	afterAll(async () => {
		try {
			expect(await cluster.process.stop()).toEqual({ code: 0, signal: null });
		} finally {
			await cluster.clean();
		}
	});

	it("starts a child that died again, pinned and counted, and leaves the others alone", async () => {
		const first = await cluster.event("shard 1", "started");
		process.kill(first.pid, "SIGKILL");
		const second = await cluster.event("shard 1", "started", 2);
		expect(second).toMatchObject({ incarnation: 2, core: 0 });
		expect(cluster.events("shard 0", "started")).toHaveLength(1);
		// Both the others learn that the table of members has changed.
		await cluster.event("shard 0", "membership");
		await cluster.event("balancer", "membership");
	});

	it("starts the balancer again, on the port that the first one has got", async () => {
		const first = await cluster.event("balancer", "started");
		expect(first).toMatchObject({ incarnation: 1, lbAddr: "127.0.0.1:0" });
		process.kill(first.pid, "SIGKILL");
		expect(await cluster.event("balancer", "started", 2)).toMatchObject({ incarnation: 2, lbAddr: "127.0.0.1:4711" });
	});

	it("kills a child that keeps the lock of a log, and frees the lock only once it is dead", async () => {
		const { memories, close } = cluster.logs();
		const [held, free] = memories;
		const shard = identify((await cluster.event("shard 1", "started", 2)).pid);
		expect(tryLock(held, holderOf(1, 2))).toBe(true);
		await waitFor(() => tryLock(held, holderOf(0, 1)), { what: "the lock is free", deadlineMs: 5000 });
		expect(isAlive(shard)).toBe(false);
		// At once: this one would be shard 0's.
		unlock(held);
		const line = await cluster.process.waitForOutput(/shard 1 hangs: it has held the lock of a log for (\d+) ms; killing it/, 5000);
		expect(Number(line[1])).toBeGreaterThanOrEqual(1000);
		await cluster.event("shard 1", "started", 3);
		// Those who take and give back a lock are left alone.
		expect(tryLock(free, holderOf(0, 1))).toBe(true);
		unlock(free);
		expect(cluster.events("shard 0", "started")).toHaveLength(1);
		close();
	});
});

describe("restart", () => {
	afterEach(() => cluster.clean());

	it("kills and restarts a child that hangs", async () => {
		// Longer than a busy machine holds up one that does not hang.
		cluster = await FakeCluster.start({ config: { heartbeatTimeoutMs: 1500 } });
		await cluster.ready();
		const { pid } = await cluster.event("shard 0", "started");
		process.kill(pid, "SIGSTOP");
		await cluster.event("shard 0", "started", 2);
		expect(cluster.process.log()).toMatch(/shard 0 hangs: no heartbeat for \d+ ms; killing it/);
	});

	it("one that dies while it is asked to take certificates does not keep the others from them", async () => {
		cluster = await FakeCluster.start({ faults: { "shard 1": { dieAtCertificate: "second" } } });
		await cluster.ready();
		cluster.process.signal("SIGUSR2");
		await waitFor(() => /certificates used: third/.test(cluster.process.log()), { deadlineMs: 10_000, what: "the third certificates" });
		expect(cluster.process.log()).not.toMatch(/certificates not used/);
		await cluster.event("shard 1", "started", 2);
	});

	it("says which child could not apply new option values, and leaves it running", { timeout: 20_000, tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ faults: { "shard 1": { noReload: true, noCertificate: "second" } } });
		await cluster.ready();
		cluster.process.signal("SIGUSR2");
		const line = /shard 1 keeps its old options until the next reload or its next restart: Error: no more files/;
		await waitFor(() => line.test(cluster.process.log()), { deadlineMs: 5000, what: "the line about shard 1" });
		await waitFor(() => /certificates used: third/.test(cluster.process.log()), { deadlineMs: 5000, what: "the third certificates" });
		expect(cluster.process.log(), "certificates that one shard refuses").toMatch(
			/not used: second: shard 1: the library does not take it$/m,
		);
		const used = (name: string) => cluster.events(name, "certificates").map(({ path }) => path);
		expect(used("shard 0"), "the others go back to those before").toEqual(["first", "second", "first", "third"]);
		expect(used("shard 1")).toEqual(["first", "first", "third"]);
		expect(cluster.events("shard 1", "started")).toHaveLength(1);
		expect(await cluster.process.stop()).toEqual({ code: 0, signal: null });
		expect(cluster.process.log()).not.toMatch(/shard 0 keeps/);
	});

	it("leaves children alone that are silent because they wait for a CPU, and still kills one that stands still", {
		timeout: 60_000,
		tags: ["long"],
	}, async () => {
		const heartbeatTimeoutMs = 400;
		// All on one CPU, so each turn takes four times its CPU time.
		const names = ["shard 0", "shard 1", "shard 2", "shard 3"];
		const faults = Object.fromEntries(names.map((name) => [name, { turnMs: 200 }]));
		cluster = await FakeCluster.start({ shards: 4, config: { heartbeatTimeoutMs }, faults });
		await cluster.ready();
		const silent = (name: string) => cluster.events(name, "turn").filter(({ tookMs }) => tookMs! > heartbeatTimeoutMs * 1.5).length;
		await waitFor(() => names.every((name) => silent(name) >= 3), { what: "three long turns of each shard", deadlineMs: 30_000 });
		expect(cluster.events(undefined, "started"), cluster.process.log()).toHaveLength(5);
		process.kill((await cluster.event("shard 2", "started")).pid, "SIGSTOP");
		await cluster.event("shard 2", "started", 2);
		expect(cluster.process.log()).toMatch(/shard 2 hangs: no heartbeat for \d+ ms/);
	});

	it("kills and restarts a child whose loop runs but whose heart does not beat", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ config: { heartbeatTimeoutMs: 400 }, faults: { balancer: { mute: true } } });
		await cluster.ready();
		await cluster.event("balancer", "started", 2);
	});

	it("does not take children for hung when the whole machine stood still", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ config: { heartbeatTimeoutMs: 1000 } });
		await cluster.ready();
		const children = cluster.events(undefined, "started");
		const all = [cluster.process.pid, ...children.map(({ pid }) => pid)];
		for (const pid of all) process.kill(pid, "SIGSTOP");
		const stoppedMs = performance.now();
		await waitFor(() => performance.now() - stoppedMs > 1600, { what: "a pause longer than the time-out", deadlineMs: 5000 });
		// The supervisor first: it sees old heartbeats everywhere.
		for (const pid of all) process.kill(pid, "SIGCONT");
		await cluster.process.stop();
		expect(cluster.process.log()).not.toMatch(/hangs/);
		expect(cluster.events(undefined, "started")).toHaveLength(3);
	});

	it("kills and restarts a child that does not become ready, and gives up when it never does", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({
			config: { readyTimeoutMs: 2500, crashLimit: 1, crashWindowMs: 100 },
			faults: { "shard 1": { neverReady: true } },
		});
		expect((await cluster.process.exited).code).toBe(1);
		expect(cluster.process.log().match(/shard 1 did not become ready within 2500 ms; killing it/g)).toHaveLength(2);
		expect(cluster.process.log()).toMatch(/failure: crash loop: shard 1 died 2 times in a row before it was ready/);
		expect(cluster.events("supervisor", "never ready")).toHaveLength(1);
	});

	it("ends a crash loop with a clear message, an ordered stop of the others and status 1", async () => {
		// Long enough that shard 1 serves before the third death: it is not drained otherwise.
		cluster = await FakeCluster.start({ config: { crashLimit: 2 }, faults: { "shard 0": { dieAfterMs: 500 } } });
		expect((await cluster.process.exited).code).toBe(1);
		// What children wrote last may come after the supervisor's exit.
		await cluster.event("shard 0", "started", 3);
		expect(cluster.process.log()).toMatch(
			/failure: crash loop: shard 0 died 3 times within 30 s, the last time it ended with exit status 4/,
		);
		expect(cluster.events("shard 1", "drained")).toHaveLength(1);
		expect(cluster.directories()).toEqual([]);
	});
});

describe("the scoreboard", () => {
	afterEach(() => cluster.clean());

	it("says who serves, who is dead and how often it was restarted", { tags: ["long"] }, async () => {
		const config = { restartBackoffMinMs: 3000, restartBackoffMaxMs: 3000 };
		cluster = await FakeCluster.start({ config, faults: { "shard 1": { connections: 5 } } });
		await cluster.ready();
		const { pid } = await cluster.event("shard 1", "started");
		const board = cluster.board();
		const row = board.row(1);
		expect(board.clusterState).toBe(ClusterState.serving);
		expect(row.snapshot()).toMatchObject({
			state: ShardState.serving,
			pid,
			incarnation: 1,
			restarts: 0,
			connections: 5,
			connectionsMax: 6000,
			core: 0,
		});

		process.kill(pid, "SIGKILL");
		await waitFor(() => row.state === ShardState.dead && row.snapshot().connections === 0, {
			what: "the burial of shard 1",
			deadlineMs: 5000,
		});
		expect(row.snapshot()).toMatchObject({ pid: 0 });
		process.kill(board.balancer.pid, "SIGKILL");
		await waitFor(() => board.balancer.state === ShardState.dead, { what: "the burial of the balancer", deadlineMs: 5000 });

		const second = await cluster.event("shard 1", "started", 2);
		await cluster.event("balancer", "started", 2);
		expect(row.snapshot()).toMatchObject({ pid: second.pid, incarnation: 2, restarts: 1 });
		expect(board.balancer.restarts).toBe(1);
		board.close();
	});
});

describe("a child that cannot start", () => {
	afterEach(() => cluster.clean());

	it("ends the cluster at its first start, with its own line and status", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ faults: { "shard 1": { fatal: true } } });
		expect((await cluster.process.exited).code).toBe(2);
		expect(cluster.process.log()).toMatch(/^failure: port 1 is taken; choose another$/m);
		expect(cluster.events("shard 1", "started")).toHaveLength(1);
		expect(cluster.directories()).toEqual([]);
	});

	it("is tried again when it has served before", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ config: { crashLimit: 3 }, faults: { "shard 1": { fatalFrom: 2 } } });
		await cluster.ready();
		process.kill((await cluster.event("shard 1", "started")).pid, "SIGKILL");
		await cluster.event("shard 1", "started", 3);
		expect(cluster.process.log()).toMatch(/shard 1 failed with a fatal error \(port 1 is taken; choose another\); restarting it/);
	});
});

describe("stop", () => {
	afterEach(() => cluster.clean());

	it("drains the balancer first and then all shards side by side, and waits no longer than needed", async () => {
		cluster = await FakeCluster.start({
			shards: 3,
			faults: { balancer: { drainMs: 200 }, "shard 0": { drainMs: 1500 }, "shard 1": { drainMs: 300 } },
		});
		await cluster.ready();
		const beganMs = performance.now();
		expect(await cluster.process.stop("SIGINT")).toEqual({ code: 0, signal: null });
		// It had 30 s for the stop.
		expect(performance.now() - beganMs).toBeLessThan(10_000);
		const balancerDone = (await cluster.event("balancer", "drained")).atMs!;
		const began = ["shard 0", "shard 1", "shard 2"].map((name) => cluster.events(name, "drain")[0].atMs!);
		for (const atMs of began) expect(atMs).toBeGreaterThanOrEqual(balancerDone);
		expect(Math.max(...began)).toBeLessThan(cluster.events("shard 0", "drained")[0].atMs!);
		expect(cluster.process.log()).toMatch(/shutting down: SIGINT; 0 connections on 3 shards[\s\S]*shutdown complete: nothing was cut off/);
		expect(cluster.directories()).toEqual([]);
	});

	it("in proxy mode waits for the balancer's listener only, since its connections end with the shards", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ mode: "proxy", faults: { balancer: { drainMs: 2000 } } });
		await cluster.ready();
		expect((await cluster.process.stop()).code).toBe(0);
		const balancer = cluster.events("balancer");
		const shardBegan = (await cluster.event("shard 0", "drain")).atMs!;
		expect(shardBegan).toBeGreaterThanOrEqual(balancer.find(({ event }) => event === "drain")!.atMs!);
		expect(shardBegan).toBeLessThan(balancer.find(({ event }) => event === "drained")!.atMs!);
	});

	it("ends with status 1 when something was cut off", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ faults: { "shard 1": { cutOff: 3 } } });
		await cluster.ready();
		expect((await cluster.process.stop()).code).toBe(1);
		expect(cluster.process.log()).toMatch(/shutdown complete: 3 cut off/);
	});

	it("kills shards that do not finish within the time for the stop, and counts what they have cut off, or all clients of one that has not drained", async () => {
		cluster = await FakeCluster.start({
			config: { shutdownTimeoutMs: 2000 },
			faults: { "shard 0": { neverDrained: true, connections: 100 }, "shard 1": { neverStopped: true, cutOff: 3, connections: 50 } },
		});
		await cluster.ready();
		const beganMs = performance.now();
		expect((await cluster.process.stop()).code).toBe(1);
		expect(performance.now() - beganMs).toBeLessThan(8000);
		// It was told a shorter time, in which it could have said what it cut off.
		expect(cluster.events("shard 0", "drain")[0].deadlineMs).toBeLessThan(2000);
		expect(cluster.process.log()).toMatch(/shard 0 did not finish \(it was killed by SIGKILL\) and had 100 connections/);
		expect(cluster.process.log()).toMatch(/shard 1 had drained, but did not stop \(it was killed by SIGKILL\)/);
		expect(cluster.process.log()).toMatch(/shutdown complete: 103 cut off, not all processes finished/);
		expect(cluster.directories()).toEqual([]);
	});

	it("does not wait for a shard that stands still, and counts what it had", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({
			config: { heartbeatTimeoutMs: 1000 },
			faults: { "shard 0": { neverDrained: true, connections: 7 } },
		});
		await cluster.ready();
		cluster.process.signal("SIGTERM");
		process.kill((await cluster.event("shard 0", "drain")).pid, "SIGSTOP");
		const beganMs = performance.now();
		expect((await cluster.process.exited).code).toBe(1);
		// It had 30 s for the stop.
		expect(performance.now() - beganMs).toBeLessThan(5000);
		expect(cluster.process.log()).toMatch(/shard 0 hangs: no heartbeat for \d+ ms; killing it/);
		expect(cluster.process.log()).toMatch(/shutdown complete: 7 cut off, not all processes finished/);
	});

	it("does not let a hung balancer take the shards' time", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ config: { shutdownTimeoutMs: 2000 }, faults: { balancer: { neverDrained: true } } });
		await cluster.ready();
		expect((await cluster.process.stop()).code).toBe(1);
		for (const name of ["shard 0", "shard 1"]) expect(cluster.events(name, "drained")).toHaveLength(1);
	});

	it("does not wait for a child that is between two lives", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ config: { restartBackoffMinMs: 60_000, restartBackoffMaxMs: 60_000 } });
		await cluster.ready();
		process.kill((await cluster.event("shard 1", "started")).pid, "SIGKILL");
		await cluster.process.waitForOutput(/shard 1 was killed by SIGKILL/, 5000);
		const beganMs = performance.now();
		expect((await cluster.process.stop()).code).toBe(0);
		expect(performance.now() - beganMs).toBeLessThan(10_000);
	});

	it("can be told to stop before the cluster is ready", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ faults: { "shard 0": { neverReady: true } } });
		await cluster.event("shard 0", "started");
		expect((await cluster.process.stop()).code).toBe(0);
		expect(cluster.events("supervisor", "never ready")).toHaveLength(1);
		expect(cluster.directories()).toEqual([]);
	});

	it("a second signal kills everything at once, status 1", async () => {
		cluster = await FakeCluster.start({ faults: { "shard 0": { neverDrained: true }, "shard 1": { neverDrained: true } } });
		await cluster.ready();
		const children = pidsOf(cluster.events(undefined, "started"));
		cluster.process.signal("SIGTERM");
		await cluster.event("shard 0", "drain");
		const beganMs = performance.now();
		expect((await cluster.process.stop("SIGTERM")).code).toBe(1);
		// The stop would have had 30 s.
		expect(performance.now() - beganMs).toBeLessThan(10_000);
		expect(children.filter(isAlive)).toEqual([]);
		expect(cluster.directories()).toEqual([]);
	});

	it("Ctrl-C in a terminal, which reaches only the supervisor's process group, does not kill the children", async () => {
		cluster = await FakeCluster.start({ faults: { "shard 0": { drainMs: 100 } } });
		await cluster.ready();
		// Even when a signal does reach them, they leave the order of the stop to the supervisor.
		for (const { pid } of cluster.events(undefined, "started")) process.kill(pid, "SIGINT");
		expect((await cluster.process.stop("SIGINT")).code).toBe(0);
		expect(cluster.events(undefined, "drained")).toHaveLength(3);
	});
});

describe("the channel between the supervisor and its children", () => {
	afterEach(() => cluster.clean());

	it("answers a child that asks for the metrics with those of all processes that give theirs in time", { tags: ["long"] }, async () => {
		cluster = await FakeCluster.start({ shards: 3, faults: { balancer: { asks: true }, "shard 1": { noMetrics: true } } });
		await cluster.ready();
		const given = ["shard 0", "shard 2", "balancer"].map((name) => `fake_total{process="${name}"} 7`);
		// The first answers may have been made before the others were ready; a late part is counted in the answer after it.
		given.push('shardcast_missing_answers_total{question="metrics",source="shard-1",process="supervisor"}');
		const complete = (text: string) => given.every((line) => text.includes(line));
		const answered = () => cluster.events("balancer", "answer").some(({ text }) => complete(text!));
		await waitFor(answered, { what: "an answer with all parts", deadlineMs: 10_000 });
		expect(cluster.events("balancer", "answer").at(-1)!.text).not.toContain('process="shard 1"');
	});

	it("orphans are impossible: children leave when the supervisor is killed", async () => {
		cluster = await FakeCluster.start({ shards: 3 });
		await cluster.ready();
		const children = pidsOf(cluster.events(undefined, "started"));
		// One that hangs cannot see that its channel is closed; the kernel kills it all the same.
		process.kill(children[1].pid, "SIGSTOP");
		process.kill(cluster.process.pid, "SIGKILL");
		await waitFor(() => children.every((child) => !isAlive(child)), { what: "the end of all children", deadlineMs: 3000 });
		// Nobody was left to remove it; the next start does.
		expect(cluster.directories()).toHaveLength(1);
	});
});
