import { closeSync, mkdtempSync, openSync, readdirSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RingLayout } from "@shardcast/ring";
import { BoardLayout, HeaderWord } from "@shardcast/scoreboard";
import { type Cluster, descendantsOf, isAlive, RawClient, Scrape, SteadyReaders, startCluster, waitFor } from "@shardcast/testkit";
import { packVersion } from "@shardcast/wire";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { Fleet, flawless } from "../support/fleet.ts";
import { servedAgain } from "../support/served-again.ts";

/** Sends 10 messages of each sender every few milliseconds until told to stop. */
function keepSending(fleet: Fleet): { stop(): Promise<void> } {
	let going = true;
	const done = (async () => {
		while (going) {
			fleet.send(5);
			await sleep(5);
		}
	})();
	return {
		async stop() {
			going = false;
			await done;
		},
	};
}

/** Writes a version into the scoreboard, and the same step of the minor version into the rings. */
function setVersions(cluster: Cluster, version: { readonly major: number; readonly minor: number }): void {
	const [directory] = cluster.sharedDirectories();
	const write = (name: string, at: number, packed: number) => {
		const fd = openSync(join(directory!, name), "r+");
		writeSync(fd, Int32Array.of(packed), 0, 4, at);
		closeSync(fd);
	};
	write("board", 4 * HeaderWord.version, packVersion(version));
	const ring = { ...RingLayout.version, minor: version.minor };
	for (const name of readdirSync(directory!)) if (name.startsWith("ring-")) write(name, RingLayout.versionOffset, packVersion(ring));
}

describe("faults under load", () => {
	let cluster: Cluster;
	beforeAll(async () => {
		// Shard 0 dies seven times in all.
		cluster = await startCluster({ shards: 2, flags: ["--lb-mode", "handoff", "--crash-limit", "10", "--restart-backoff-max", "500ms"] });
	});
	afterAll(() => cluster.stop());

	it("the balancer is killed: nobody connected notices, and new clients are served again", async () => {
		const fleet = new Fleet();
		await fleet.listen(Array.from({ length: 40 }, () => cluster.url));
		await fleet.addSender(cluster.url);
		const load = keepSending(fleet);
		await sleep(150);
		const before = (await cluster.health()).balancer.pid;
		await cluster.kill9("balancer");
		const health = await waitFor(() => cluster.health().catch(() => null), { deadlineMs: 10_000, what: "the balancer to answer again" });
		expect(health.balancer.pid).not.toBe(before);
		expect(health.connections).toBe(41);
		await load.stop();
		await fleet.settle();
		expect(fleet.report()).toMatchObject(flawless);
		await fleet.close();
		await servedAgain(cluster, [0, 0]);
		// Counts at pick time restart with the new balancer: they must still be true.
		const spread = async () => {
			const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(cluster.url)));
			const even = async () => (await cluster.health()).shards.every(({ connections }) => Math.abs(connections - 10) <= 1);
			const isEven = await waitFor(even, { deadlineMs: 2_000, what: "10 connections on each shard" }).catch(() => false);
			await Promise.all(clients.map((client) => client.close()));
			await waitFor(async () => (await cluster.health()).connections === 0, { deadlineMs: 5_000, what: "no connections" });
			return isEven;
		};
		// A shard whose heartbeat is late gets none meanwhile.
		await waitFor(spread, { deadlineMs: 15_000, what: "clients to be spread evenly" });
	});

	it("what a shard had published before it was killed still reaches the others", async () => {
		const fleet = new Fleet();
		await fleet.listen([cluster.shardUrl(1), cluster.shardUrl(0)]);
		await fleet.addSender(cluster.shardUrl(0));
		fleet.send(200);
		// The listener on the same shard has them all, so all are in the ring.
		await fleet.settle([fleet.listeners[1]!]);
		await cluster.kill9(0);
		await fleet.settle([fleet.listeners[0]!]);
		expect(fleet.report([fleet.listeners[0]!])).toMatchObject(flawless);
		await fleet.close();
		await servedAgain(cluster, [1, 0]);
	});

	it("a shard is killed: clients of the others miss nothing and get nothing twice, and it serves again", async () => {
		const fleet = new Fleet();
		await fleet.listen(Array.from({ length: 40 }, () => cluster.shardUrl(1)));
		const doomed = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(cluster.shardUrl(0))));
		await fleet.addSender(cluster.shardUrl(1));
		await fleet.addSender(cluster.shardUrl(1));
		const dead = { shard: "0" };
		const crashed = async () => (await Scrape.of(cluster.httpUrl)).sum("shardcast_disconnects_total", { ...dead, code: "crash" });
		const crashedBefore = await crashed();
		const load = keepSending(fleet);
		for (let kill = 2; kill <= 4; kill++) {
			await sleep(150);
			await cluster.kill9(0);
			await waitFor(async () => (await cluster.health()).shards[0]!.restarts === kill && (await cluster.health()).status === "healthy", {
				deadlineMs: 10_000,
				what: `restart ${kill}`,
			});
		}
		await load.stop();
		await fleet.settle();
		expect(fleet.report()).toMatchObject(flawless);
		expect((await Promise.all(doomed.map(({ closed }) => closed))).every(({ code }) => code === 1006)).toBe(true);
		expect((await crashed()) - crashedBefore).toBe(doomed.length);
		const scrape = await Scrape.of(cluster.httpUrl);
		expect(scrape.sum("shardcast_websockets_opened_total", dead) - scrape.sum("shardcast_websockets_closed_total", dead)).toBe(0);
		await fleet.close();
		await servedAgain(cluster, [4, 0]);
	});

	it("a shard joins shared memory of a newer minor version, and refuses that of another major version", async () => {
		// Shared memory that a program of a newer minor version has laid out, then one of another major version.
		const { major, minor } = BoardLayout.version;
		setVersions(cluster, { major, minor: minor + 1 });
		await cluster.kill9(0);
		await servedAgain(cluster, [5, 0]);
		setVersions(cluster, { major: major + 1, minor: 0 });
		await cluster.kill9(0);
		await waitFor(() => cluster.log().includes(`has layout version ${major + 1}.0, and this program uses ${major}.x`), {
			deadlineMs: 10_000,
			what: "the shard's reason not to join",
		});
	});

	it("the supervisor is killed -9: every child leaves, ports are free, and the next start clears what it left", async () => {
		// In a folder that no other test uses: any cluster that starts clears what dead ones have left there.
		const base = mkdtempSync("/dev/shm/shardcast-test-");
		onTestFinished(() => rmSync(base, { recursive: true }));
		const flags = ["--cluster-directory", base];
		const cluster = await startCluster({ shards: 2, flags });
		const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(cluster.url)));
		const children = descendantsOf(cluster.process.pid);
		expect(children.length).toBeGreaterThanOrEqual(3);
		await cluster.kill9("supervisor");
		await waitFor(() => children.every((child) => !isAlive(child)), { deadlineMs: 5_000, what: "the children to leave" });
		await Promise.all(clients.map(({ closed }) => closed));
		const [left, ...others] = readdirSync(base);
		expect([left, others]).toEqual([expect.stringContaining(`-${cluster.process.pid}-`), []]);
		const next = await startCluster({ shards: 2, flags: [...flags, "--base-port", String(cluster.basePort)] });
		expect(readdirSync(base)).not.toContain(left);
		await next.stop();
	});

	it("catching up after a shard stood still closes no client that reads, on that shard or on the others", { tags: ["long"] }, async () => {
		const cluster = await startCluster({ shards: 2, flags: ["--heartbeat-timeout", "10s"] });
		const readers = await SteadyReaders.open(
			Array.from({ length: 8 }, (_, index) => cluster.shardUrl(index % 2)),
			8_000_000,
		);
		try {
			const sender = await RawClient.open(cluster.shardUrl(0));
			const { pid } = (await cluster.health()).shards[1]!;
			process.kill(pid, "SIGSTOP");
			// Far more than the ring holds: the shard holds it for the sender meanwhile.
			const messages = 1400;
			const payload = Buffer.alloc(10_000);
			for (let sequence = 0; sequence < messages; sequence++) {
				payload.writeUInt32LE(sequence);
				sender.send(payload);
			}
			await waitFor(async () => (await Scrape.of(cluster.httpUrl)).sum("shardcast_bus_backpressured_total") > 0, {
				deadlineMs: 10_000,
				what: "a full ring",
			});
			process.kill(pid, "SIGCONT");
			await readers.haveRead(messages, 30_000).catch(async (error: unknown) => {
				const text = (await Scrape.of(cluster.httpUrl)).text;
				const state = text
					.split("\n")
					.filter((line) => /^shardcast_(bus|disconnects|messages|deliveries|websockets|shard)_(?!.*_bucket).* [^0]/.test(line));
				throw new Error(`${(error as Error).message}\n${state.join("\n")}`);
			});
			await sender.close();
		} finally {
			readers.close();
			await cluster.stop();
		}
	});
});
