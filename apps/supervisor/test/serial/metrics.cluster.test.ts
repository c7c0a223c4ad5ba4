import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Cluster,
	cpuMs,
	freePorts,
	httpRequest,
	LibraryClient,
	ManagedProcess,
	postJson,
	Scrape,
	startCluster,
	waitFor,
	wakeUps,
} from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** Waits until a scrape shows it; @throws with the last difference. */
function scrapeUntil(cluster: Cluster, check: (scrape: Scrape) => void, deadlineMs = 10_000): Promise<Scrape> {
	return waitFor(
		async () => {
			const scrape = await Scrape.of(cluster.httpUrl);
			check(scrape);
			return scrape;
		},
		{ deadlineMs, what: "the metrics to agree", everyMs: 50 },
	);
}

describe("GET /metrics of a cluster", () => {
	let cluster: Cluster;
	beforeAll(async () => {
		cluster = await startCluster({ shards: 2 });
	});
	afterAll(() => cluster?.stop());

	const clients: LibraryClient[] = [];
	const clientCount = 10;
	const messageCount = 50;
	const published = 7;
	const message = "x".repeat(100);

	it("agrees with what was sent, to the message", async () => {
		for (let number = 0; number < clientCount; number++) clients.push(await LibraryClient.open(cluster.url));
		const [sender, ...others] = clients;
		for (let number = 0; number < messageCount; number++) sender!.send(message);
		for (let number = 0; number < published; number++) {
			const { status } = await postJson(`${cluster.httpUrl}/api/publish`, { data: message });
			expect(status).toBe(200);
		}
		await Promise.all(others.map((client) => client.waitForMessages(messageCount + published)));
		await sender!.waitForMessages(published);

		const deliveries = messageCount * (clientCount - 1) + published * clientCount;
		const scrape = await scrapeUntil(cluster, (now) => expect(now.sum("shardcast_deliveries_total")).toBe(deliveries));
		expect(scrape.sum("events_processed_total")).toBe(messageCount + published);
		expect(scrape.sum("shardcast_received_bytes_total")).toBe((messageCount + published) * message.length);
		expect(scrape.sum("shardcast_delivered_bytes_total")).toBe(deliveries * message.length);
		expect(scrape.sum("shardcast_publish_to_send_seconds_count")).toBe(deliveries);
		expect(scrape.sum("shardcast_publish_to_send_seconds_bucket", { le: "+Inf" })).toBe(deliveries);
		// Both shards read every record of the bus, each once.
		expect(scrape.sum("shardcast_bus_records_total")).toBe(2 * (messageCount + published));
		expect(scrape.sum("shardcast_flush_records_sum")).toBe(2 * (messageCount + published));
		expect(scrape.sum("shardcast_flush_records_count")).toBe(scrape.sum("shardcast_flushes_total"));
		expect(scrape.sum("websocket_active_connections")).toBe(clientCount);
		expect(scrape.sum("websocket_active_connections", { shard: "0" })).toBe(clientCount / 2);
		expect(scrape.sum("shardcast_websockets_opened_total")).toBe(clientCount);
		expect(scrape.sum("shardcast_drops_total")).toBe(0);
		// What the balancer gave away is what the shards got: the WebSockets and the publishes.
		expect(scrape.sum("shardcast_balancer_connections_total", { outcome: "handed_off" })).toBe(clientCount + published);
		expect(scrape.sum("shardcast_handoffs_sent_total")).toBe(clientCount + published);
		expect(scrape.sum("shardcast_handoffs_received_total")).toBe(clientCount + published);
		expect(scrape.sum("shardcast_handoff_seconds_count")).toBe(clientCount + published);
	});

	it("counts disconnects by code", async () => {
		await clients[0]!.close(1000);
		await clients[1]!.close(1001);
		await clients[2]!.close(4000);
		clients[3]!.send("y".repeat(100_000));
		expect((await clients[3]!.closed).code).toBe(1009);
		const scrape = await scrapeUntil(cluster, (now) => expect(now.sum("shardcast_websockets_closed_total")).toBe(4));
		for (const code of ["1000", "1001", "1009", "other"]) expect(scrape.sum("shardcast_disconnects_total", { code }), code).toBe(1);
		expect(scrape.sum("shardcast_disconnects_total")).toBe(4);
		expect(scrape.sum("websocket_active_connections")).toBe(clientCount - 4);
	});

	it("is the same on the balancer's port and on each shard's, with every process in it", async () => {
		const urls = [cluster.httpUrl, ...[0, 1].map((shard) => cluster.shardUrl(shard).replace("ws:", "http:"))];
		const scrapes = await Promise.all(urls.map((url) => Scrape.of(url)));
		for (const scrape of scrapes) {
			expect(scrape.names()).toEqual(scrapes[0]!.names());
			expect(scrape.labels("process_resident_memory_bytes", "process").sort()).toEqual(["balancer", "shard-0", "shard-1", "supervisor"]);
			expect(scrape.sum("shardcast_missing_answers_total")).toBe(0);
		}
		expect((await httpRequest(`${cluster.httpUrl}/metrics`, { method: "HEAD" })).body).toBe("");
		expect((await httpRequest(`${urls[1]}/metrics`, { method: "HEAD" })).status).toBe(200);
	});

	it.each([
		["GET", "/ready"],
		["HEAD", "/health"],
		["POST", "/health"],
		["DELETE", "/metrics"],
		["GET", "/api/publish"],
		["GET", "/nowhere"],
		["GET", "/ws"],
	])("%s %s is answered alike on the balancer's port and on each shard's", async (method, path) => {
		const urls = [cluster.httpUrl, ...[0, 1].map((shard) => cluster.shardUrl(shard).replace("ws:", "http:"))];
		const answers = await Promise.all(
			urls.map(async (url) => {
				const { status, headers, body } = await httpRequest(`${url}${path}`, { method, headers: { connection: "keep-alive" } });
				return {
					status,
					type: headers["content-type"],
					allow: headers.allow,
					closes: headers.connection,
					body,
				};
			}),
		);
		expect(answers[1]).toEqual(answers[0]);
		expect(answers[2]).toEqual(answers[0]);
		expect(answers[0]!.closes).toBe("close");
	});

	it("a scrape costs a shard's process far less than 20 ms", async () => {
		const pids = await cluster.pids();
		const rounds = 20;
		const before = cpuMs(pids.get("shard 0")!);
		for (let round = 0; round < rounds; round++) await Scrape.of(cluster.httpUrl);
		expect((cpuMs(pids.get("shard 0")!) - before) / rounds).toBeLessThan(20);
	});

	it("an idle cluster sleeps: its processes wake up for little more than their five heartbeats a second", async () => {
		const pids = [...(await cluster.pids()).values()];
		const all = () => pids.reduce((sum, pid) => sum + wakeUps(pid), 0);
		// A busy process measures how late its loop is, by more wake-ups; it stops within a second.
		const perSecond = async () => {
			const [before, startedMs] = [all(), performance.now()];
			await sleep(1000);
			return ((all() - before) / (performance.now() - startedMs)) * 1000;
		};
		await expect.poll(perSecond, { interval: 0, timeout: 10_000 }).toBeLessThan(50);
	});

	it("a process that hangs costs its own part of the answer, not the answer", async () => {
		const pid = (await cluster.pids()).get("shard 1")!;
		process.kill(pid, "SIGSTOP");
		try {
			const beganMs = performance.now();
			const scrape = await Scrape.once(cluster.httpUrl);
			expect(performance.now() - beganMs).toBeLessThan(2_000);
			expect(scrape.labels("process_resident_memory_bytes", "process")).not.toContain("shard-1");
			expect(scrape.sum("shardcast_missing_answers_total", { question: "metrics", source: "shard-1" })).toBe(1);
			// What it wrote into the scoreboard is there as ever.
			expect(scrape.sum("shardcast_deliveries_total", { shard: "1" })).toBeGreaterThan(0);
		} finally {
			process.kill(pid, "SIGCONT");
		}
	});

	it("when the supervisor hangs there is an answer as well: 503, in JSON", async () => {
		const { pid } = cluster.process;
		process.kill(pid, "SIGSTOP");
		try {
			const urls = [cluster.httpUrl, cluster.shardUrl(0).replace("ws:", "http:")];
			for (const { status, body } of await Promise.all(urls.map((url) => httpRequest(`${url}/metrics`)))) {
				expect(status).toBe(503);
				expect(JSON.parse(body)).toMatchObject({ error: { code: "unavailable", message: expect.stringContaining("the supervisor") } });
			}
		} finally {
			process.kill(pid, "SIGCONT");
		}
		await Scrape.of(cluster.httpUrl);
	});

	it("counters count on when a shard is killed and restarted, gauges do not", async () => {
		const counters = ["shardcast_deliveries_total", "events_processed_total", "shardcast_publish_to_send_seconds_count"];
		const before = await Scrape.of(cluster.httpUrl);
		expect(before.sum("shardcast_deliveries_total", { shard: "0" })).toBeGreaterThan(0);
		await cluster.kill9(0);
		const after = await scrapeUntil(cluster, (now) => {
			expect(now.sum("shardcast_shard_restarts_total", { shard: "0" })).toBe(1);
			expect(now.sum("shardcast_shard_state", { shard: "0", state: "serving" })).toBe(1);
		});
		for (const name of counters) expect(after.sum(name, { shard: "0" }), name).toBe(before.sum(name, { shard: "0" }));
		expect(after.sum("websocket_active_connections", { shard: "0" })).toBe(0);
		expect(after.sum("shardcast_shard_restarts_total", { shard: "1" })).toBe(0);

		const fresh = await LibraryClient.open(cluster.shardUrl(0));
		await postJson(`${cluster.httpUrl}/api/publish`, { data: "on" });
		await fresh.waitForMessages(1);
		await scrapeUntil(cluster, (now) =>
			expect(now.sum("shardcast_deliveries_total", { shard: "0" })).toBe(before.sum("shardcast_deliveries_total", { shard: "0" }) + 1),
		);
		await fresh.close();
	});
});

describe("GET /metrics elsewhere", () => {
	it("proxy mode: counts what the balancer carries", async () => {
		const cluster = await startCluster({ shards: 2, flags: ["--lb-mode", "proxy"] });
		try {
			const clients = await Promise.all([0, 1, 2].map(() => LibraryClient.open(cluster.url)));
			const scrape = await scrapeUntil(cluster, (now) => expect(now.sum("shardcast_proxied_connections")).toBe(3));
			expect(scrape.sum("shardcast_balancer_connections_total", { outcome: "proxied" })).toBe(3);
			expect(scrape.sum("shardcast_balancer_connections_total", { outcome: "handed_off" })).toBe(0);
			expect(scrape.sum("shardcast_balancer_mode", { mode: "proxy" })).toBe(1);
			expect(scrape.sum("websocket_active_connections")).toBe(3);
			await Promise.all(clients.map((client) => client.close()));
			await scrapeUntil(cluster, (now) => expect(now.sum("shardcast_proxied_connections")).toBe(0));
		} finally {
			await cluster.stop();
		}
	});

	it("single: the one shard gives its own, and none of a balancer that there is not", async () => {
		const port = await freePorts(1);
		const bin = join(import.meta.dirname, "../../dist/main.js");
		const single = await ManagedProcess.start(bin, ["single", "--addr", `127.0.0.1:${port}`]);
		try {
			const url = `http://127.0.0.1:${port}`;
			const client = await waitFor(() => LibraryClient.open(`ws://127.0.0.1:${port}`), { deadlineMs: 10_000, what: "the shard to serve" });
			const scrape = await Scrape.of(url);
			expect(scrape.sum("websocket_active_connections", { shard: "0" })).toBe(1);
			expect(scrape.labels("process_resident_memory_bytes", "process")).toEqual(["shard-0"]);
			expect(scrape.names().filter((name) => name.startsWith("shardcast_balancer_"))).toEqual([]);
			await client.close();
		} finally {
			await single.stop("SIGTERM", 10_000);
		}
	});
});
