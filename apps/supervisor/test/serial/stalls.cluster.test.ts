import { setTimeout as sleep } from "node:timers/promises";
import { type Cluster, httpRequest, identify, isAlive, RawClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { servedAgain } from "../support/served-again.ts";

describe("shards that stand still, and storms of clients", () => {
	let cluster: Cluster;
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2 });
	});
	afterAll(() => cluster.stop());

	it("a shard that is held up for a moment goes on as if nothing had been: it keeps its clients, which miss nothing", async () => {
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
	});

	it("a shard that stands still is seen within a second, keeps no new client, and holds up publishing for three at most", async () => {
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
	});

	it("1,500 descriptors and 2,954 clients: as many as fit are served, the others answered 503, and a storm of reconnects kills nobody", {
		tags: ["long"],
	}, async () => {
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
