import { closeSync, openSync, readdirSync, writeSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { RingLayout } from "@shardcast/ring";
import { BoardLayout, HeaderWord } from "@shardcast/scoreboard";
import {
	type Cluster,
	descendantsOf,
	httpRequest,
	identify,
	isAlive,
	RawClient,
	Scrape,
	SteadyReaders,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { packVersion } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { Fleet, flawless } from "../support/fleet.ts";

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

async function servedAgain(cluster: Cluster, restarts: number[]): Promise<void> {
	await waitFor(
		async () => {
			const health = await cluster.health();
			return health.status === "healthy" && health.shards.every((shard, index) => shard.restarts === restarts[index]);
		},
		{ deadlineMs: 10_000, what: `a healthy cluster with restarts ${restarts}` },
	);
	const [one, other] = [await RawClient.open(cluster.url), await RawClient.open(cluster.shardUrl(0))];
	one.send("after the fault");
	await waitFor(() => other.texts().includes("after the fault"), { deadlineMs: 5_000, what: "a message between new clients" });
	await Promise.all([one.close(), other.close()]);
}

describe("faults under load", () => {
	it("a shard is killed: clients of the others miss nothing and get nothing twice, and it serves again", async () => {
		const cluster = await startCluster({ shards: 2 });
		try {
			const fleet = new Fleet();
			await fleet.listen(Array.from({ length: 40 }, () => cluster.shardUrl(1)));
			const doomed = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(cluster.shardUrl(0))));
			await fleet.addSender(cluster.shardUrl(1));
			await fleet.addSender(cluster.shardUrl(1));
			const load = keepSending(fleet);
			for (let kill = 1; kill <= 3; kill++) {
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
			const scrape = await Scrape.of(cluster.httpUrl);
			const dead = { shard: "0" };
			expect(scrape.sum("shardcast_disconnects_total", { ...dead, code: "crash" })).toBe(doomed.length);
			expect(scrape.sum("shardcast_websockets_opened_total", dead) - scrape.sum("shardcast_websockets_closed_total", dead)).toBe(0);
			await fleet.close();
			await servedAgain(cluster, [3, 0]);

			// Shared memory that a program of a newer minor version has laid out, then one of another major version.
			const { major, minor } = BoardLayout.version;
			setVersions(cluster, { major, minor: minor + 1 });
			await cluster.kill9(0);
			await servedAgain(cluster, [4, 0]);
			setVersions(cluster, { major: major + 1, minor: 0 });
			await cluster.kill9(0);
			await waitFor(() => cluster.log().includes(`has layout version ${major + 1}.0, and this program uses ${major}.x`), {
				deadlineMs: 10_000,
				what: "the shard's reason not to join",
			});
		} finally {
			await cluster.stop();
		}
	});

	it("what a shard had published before it was killed still reaches the others", async () => {
		const cluster = await startCluster({ shards: 2 });
		try {
			const fleet = new Fleet();
			await fleet.listen([cluster.shardUrl(1), cluster.shardUrl(0)]);
			await fleet.addSender(cluster.shardUrl(0));
			fleet.send(200);
			// The listener on the same shard has them all, so all are in the ring.
			await fleet.settle([fleet.listeners[1]!]);
			await cluster.kill9(0);
			await fleet.settle([fleet.listeners[0]!]);
			expect(fleet.report([fleet.listeners[0]!])).toMatchObject(flawless);
		} finally {
			await cluster.stop();
		}
	});

	it("the balancer is killed: nobody connected notices, and new clients are served again", async () => {
		const cluster = await startCluster({ shards: 2, flags: ["--lb-mode", "handoff"] });
		try {
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
			const clients = await Promise.all(Array.from({ length: 20 }, () => RawClient.open(cluster.url)));
			await waitFor(async () => (await cluster.health()).shards.every(({ connections }) => Math.abs(connections - 10) <= 1), {
				deadlineMs: 5_000,
				what: "10 connections on each shard",
			});
			await Promise.all(clients.map((client) => client.close()));
		} finally {
			await cluster.stop();
		}
	});

	it("the supervisor is killed -9: every child leaves, ports are free, and the next start clears what it left", async () => {
		const cluster = await startCluster({ shards: 2 });
		const clients = await Promise.all(Array.from({ length: 10 }, () => RawClient.open(cluster.url)));
		const children = descendantsOf(cluster.process.pid);
		expect(children.length).toBeGreaterThanOrEqual(3);
		await cluster.kill9("supervisor");
		await waitFor(() => children.every((child) => !isAlive(child)), { deadlineMs: 5_000, what: "the children to leave" });
		await Promise.all(clients.map(({ closed }) => closed));
		expect(cluster.sharedDirectories().length).toBe(1);
		const next = await startCluster({ shards: 2, flags: ["--base-port", String(cluster.basePort)] });
		expect(cluster.sharedDirectories()).toEqual([]);
		await next.stop();
	});

	it("catching up after a shard stood still closes no client that reads, on that shard or on the others", async () => {
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
			await readers.haveRead(messages, 30_000);
			await sender.close();
		} finally {
			readers.close();
			await cluster.stop();
		}
	});

	it("a shard that is held up for a moment goes on as if nothing had been: it keeps its clients, which miss nothing", async () => {
		const cluster = await startCluster({ shards: 2 });
		try {
			const [held, other] = [await RawClient.open(cluster.shardUrl(0)), await RawClient.open(cluster.shardUrl(1))];
			const { pid } = (await cluster.health()).shards[0]!;
			const statusOfShard = async () => (await cluster.health()).shards[0]!.status;
			process.kill(pid, "SIGSTOP");
			try {
				await waitFor(async () => (await statusOfShard()) === "unhealthy", {
					deadlineMs: 5_000,
					what: "a shard that does not respond",
					everyMs: 5,
				});
				for (let message = 0; message < 20; message++) other.send(`${message}`);
			} finally {
				process.kill(pid, "SIGCONT");
			}
			await waitFor(async () => (await statusOfShard()) === "healthy", { deadlineMs: 5_000, what: "a shard that responds again" });
			await waitFor(() => held.messages.length === 20, { deadlineMs: 5_000, what: "what was sent meanwhile" });
			expect(held.texts()).toEqual(Array.from({ length: 20 }, (_, message) => `${message}`));
			await Promise.all([held.close(), other.close()]);
			await servedAgain(cluster, [0, 0]);
		} finally {
			await cluster.stop();
		}
	});

	it("a shard that stands still is seen within a second, keeps no new client, and holds up publishing for three at most", async () => {
		const cluster = await startCluster({ shards: 2 });
		try {
			const listener = await RawClient.open(cluster.shardUrl(1));
			// Three that its end will cut off.
			const doomed = await Promise.all([1, 2, 3].map(() => RawClient.open(cluster.shardUrl(0))));
			const { pid } = (await cluster.health()).shards[0]!;
			const stopped = identify(pid);
			process.kill(pid, "SIGSTOP");
			const stoppedMs = performance.now();
			const publishing = publishUntilTaken(`${cluster.httpUrl.replace(/\d+$/, String(cluster.basePort + 1))}/api/publish`);
			publishing.catch(() => {}); // what comes first tells more
			const newcomers = Promise.all(Array.from({ length: 60 }, () => RawClient.open(cluster.url)));
			newcomers.catch(() => {});
			await waitFor(
				async () => {
					const { shards, reasons } = await cluster.health();
					return shards[0]!.status === "unhealthy" && reasons.some((reason) => /^shard 0: not responding/.test(reason));
				},
				{ deadlineMs: 10_000, what: "/health to say that shard 0 does not respond" },
			);
			expect(performance.now() - stoppedMs, "detected").toBeLessThan(1_000 + slackMs);
			const clients = await newcomers;
			expect(performance.now() - stoppedMs, "60 new clients served").toBeLessThan(2_000 + slackMs);
			const { refused, taken, resumedMs } = await publishing;
			expect(refused, "the ring was full").toBeGreaterThan(0);
			expect(resumedMs - stoppedMs, "publishing again").toBeLessThan(3_000 + slackMs);
			expect(isAlive(stopped), "released before it was reaped").toBe(false);
			await waitFor(() => listener.messages.length >= taken, { deadlineMs: 5_000, what: "all that was taken at a client" });
			await servedAgain(cluster, [1, 0]);
			expect(cluster.log()).toMatch(/shard 0 does not respond: no heartbeat for \d+ ms/);
			expect(cluster.log()).toMatch(/shard 0 hangs: no heartbeat for \d+ ms; killing it/);
			const heard = (client: RawClient) => client.texts().at(-1) === "after the fault";
			await waitFor(() => [listener, ...clients].every(heard), { deadlineMs: 5_000, what: "the message of the new clients" });
			expect(listener.messages.length).toBe(taken + 1);
			expect(await Promise.all(doomed.map(({ closed }) => closed))).toMatchObject(doomed.map(() => ({ code: 1006 })));
			const scrape = await Scrape.of(cluster.httpUrl);
			expect(scrape.sum("shardcast_handoffs_taken_back_total")).toBeGreaterThan(0);
			expect(scrape.sum("shardcast_disconnects_total", { code: "crash" }), "none of the new ones").toBe(doomed.length);
		} finally {
			await cluster.stop();
		}
	});

	it("1,500 descriptors and 2,954 clients: as many as fit are served, the others answered 503, and a storm of reconnects kills nobody", async () => {
		const cluster = await startCluster({ shards: 2, openFiles: 1500 });
		const pids = await cluster.pids();
		try {
			// 200 descriptors of each shard are kept for all that is no client.
			const fit = 2 * (1500 - 200);
			const open = new Set<RawClient>();
			const knock = async (count: number): Promise<number> => {
				let refused = 0;
				const one = async () => {
					try {
						open.add(await RawClient.open(cluster.url));
					} catch (error) {
						if (!/refused with 503/.test((error as Error).message)) throw error;
						refused++;
					}
				};
				for (let left = count; left > 0; left -= 200) await Promise.all(Array.from({ length: Math.min(200, left) }, one));
				return refused;
			};
			expect(await knock(2954)).toBe(2954 - fit);
			expect(open.size).toBe(fit);
			expect(await cluster.health()).toMatchObject({ status: "degraded", connections: fit, maxConnections: fit });

			// Those that were refused come again and again, while a third of the others lose their connections and come back.
			for (let round = 0; round < 3; round++) {
				for (const client of [...open].slice(0, 800)) {
					client.socket.reset();
					open.delete(client);
				}
				expect(await knock(1200), "400 too many").toBeGreaterThanOrEqual(400);
			}
			await knock(300);
			expect(open.size).toBe(fit);
			const scrape = await Scrape.of(cluster.httpUrl);
			expect(scrape.sum("websocket_active_connections")).toBe(fit);
			expect(scrape.sum("shardcast_shard_resident_bytes")).toBeGreaterThan(50_000_000);
			expect(scrape.labels("process_open_fds", "process").sort()).toEqual(["balancer", "shard-0", "shard-1", "supervisor"]);
			expect(scrape.sum("shardcast_websockets_opened_total") - scrape.sum("shardcast_websockets_closed_total")).toBe(fit);
			expect(await cluster.pids(), "all of them live").toEqual(pids);
			expect(cluster.log()).toMatch(/accepts 1300 clients instead of 6000: it may not open more files/);
			for (const client of open) client.socket.reset();
		} finally {
			await cluster.stop();
		}
	});
});

/** What a busy machine may add to a time. */
const slackMs = 500;

/** Publishes 32 KB at a time until the bus was full and takes again. */
async function publishUntilTaken(url: string): Promise<{ refused: number; taken: number; resumedMs: number }> {
	const body = JSON.stringify({ data: "x".repeat(32_768) });
	let refused = 0;
	let taken = 0;
	for (;;) {
		const { status } = await httpRequest(url, { method: "POST", body, headers: { "content-type": "application/json" } });
		if (status === 429) {
			refused++;
			await sleep(10);
			continue;
		}
		expect(status).toBe(200);
		taken++;
		if (refused > 0) return { refused, taken, resumedMs: performance.now() };
	}
}
