import { httpRequest, waitFor } from "@shardcast/testkit";
import { everybody, monotonicMs, RecordKind, recordBytes, writeRecordHead } from "@shardcast/wire";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../harness.ts";

let running: TestShards | undefined;
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

describe("a draining shard", () => {
	it("takes milliseconds when it has no clients", async () => {
		running = await startShards(1);
		const beganMs = performance.now();
		expect(await running.shards[0].shard.drain(30_000)).toBe(0);
		expect(performance.now() - beganMs).toBeLessThan(300);
	});

	it("delivers what was accepted before, closes its clients with 1001 and admits nobody new", async () => {
		const cluster = await startShards(2);
		running = cluster;
		const [leaving, staying] = cluster.shards;
		const clients = await Promise.all(Array.from({ length: 20 }, () => cluster.client(0)));
		const elsewhere = await cluster.client(1);
		for (let sequence = 0; sequence < 100; sequence++) clients[0].send(`${sequence}`);
		await waitFor(() => leaving.row.get("messagesIn") === 100, { deadlineMs: 5000, what: "100 messages" });
		elsewhere.send("from the other shard");
		await waitFor(() => staying.row.get("messagesIn") === 1, { deadlineMs: 5000, what: "the other's message" });
		const drained = leaving.shard.drain(10_000);
		await expect(cluster.client(0)).rejects.toThrow(/ECONNREFUSED/);
		expect(await drained).toBe(0);
		for (const client of clients) expect(await client.closed).toEqual({ code: 1001, reason: "shutdown" });
		for (const [index, client] of clients.entries()) {
			const own = client.texts().filter((text) => text !== "from the other shard");
			expect(own).toEqual(index === 0 ? [] : Array.from({ length: 100 }, (_, sequence) => `${sequence}`));
			expect(client.messages.length - own.length).toBe(1);
		}
		await elsewhere.waitForMessages(100);
		expect(leaving.row.webSockets).toBe(0);
		expect(leaving.row.get("closedGoingAway")).toBe(20);
		const health = JSON.parse((await httpRequest(`${staying.httpUrl}/health`)).body);
		expect(health.status).toBe("degraded");
		expect(health.shards[0].status).toBe("draining");
	});

	it("delivers everything in the rings, those of the other shards too, before it closes its clients", async () => {
		const cluster = await startShards(1, { members: 2, config: { batch: 1 } });
		running = cluster;
		const client = await cluster.client();
		const other = cluster.bus.link(1);
		const payload = Buffer.from("from the other member");
		const count = 500;
		for (let sequence = 0; sequence < count; sequence++) {
			const at = other.claim(recordBytes(everybody, payload.length));
			other.u8.set(payload, writeRecordHead(other.view, other.u8, at, RecordKind.text, 0, monotonicMs(), everybody));
			other.commit();
		}
		other.ringWaiters();
		expect(await cluster.shards[0].shard.drain(10_000)).toBe(0);
		expect((await client.closed).code).toBe(1001);
		expect(client.messages).toHaveLength(count);
	});

	it("waits for a publish request whose body is still arriving", async () => {
		const cluster = await startShards(2);
		running = cluster;
		const elsewhere = await cluster.client(1);
		const { hostname, port } = new URL(cluster.shards[0].httpUrl);
		const { connect } = await import("node:net");
		const publisher = connect(Number(port), hostname);
		publisher.on("error", () => {}); // its end is not what is tested
		publisher.write('POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n{"data":');
		await waitFor(() => cluster.shards[0].row.get("httpRequests") === 1, { deadlineMs: 2000, what: "the request" });
		const drained = cluster.shards[0].shard.drain(4000);
		publisher.write('"late"}');
		expect(await drained).toBe(0);
		await elsewhere.waitForMessages(1);
		expect(elsewhere.texts()).toEqual(["late"]);
		publisher.destroy();
	});

	it("closes its clients first when that is to happen immediately, and then finishes a publish request whose body is still arriving", async () => {
		const cluster = await startShards(2);
		running = cluster;
		const [client, elsewhere] = [await cluster.client(0), await cluster.client(1)];
		const { hostname, port } = new URL(cluster.shards[0].httpUrl);
		const { connect } = await import("node:net");
		const publisher = connect(Number(port), hostname);
		publisher.on("error", () => {}); // its end is not what is tested
		publisher.write('POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 15\r\n\r\n{"data":');
		await waitFor(() => cluster.shards[0].row.get("httpRequests") === 1, { deadlineMs: 2000, what: "the request" });
		const drained = cluster.shards[0].shard.drain(40_000, true);
		expect((await client.closed).code).toBe(1001);
		publisher.write('"late"}');
		expect(await drained).toBe(0);
		await elsewhere.waitForMessages(1);
		expect(elsewhere.texts()).toEqual(["late"]);
		publisher.destroy();
	});

	it("gives up on a client that does not read at its deadline, and counts it", async () => {
		const cluster = await startShards(1, { config: { maxBufferedBytes: 50_000_000 } });
		running = cluster;
		const [sender, dead] = [await cluster.client(), await cluster.rawClient()];
		dead.socket.tcp.pause();
		// More than the kernel takes for a client that does not read.
		for (let round = 0; round < 200; round++) sender.send(Buffer.alloc(60_000));
		await waitFor(() => cluster.shards[0].row.get("deliveries") === 200, { deadlineMs: 10_000, what: "200 deliveries" });
		const beganMs = performance.now();
		expect(await cluster.shards[0].shard.drain(1500)).toBe(1);
		const tookMs = performance.now() - beganMs;
		expect(tookMs).toBeGreaterThan(1000);
		expect(tookMs).toBeLessThan(2500);
		expect((await sender.closed).code).toBe(1001);
	});

	it("counts a client that is being closed for slowness once", async () => {
		const cluster = await startShards(1, { config: { maxBufferedBytes: 200_000 } });
		running = cluster;
		const { shard, row } = cluster.shards[0];
		const [sender, dead] = [await cluster.client(), await cluster.rawClient()];
		dead.socket.tcp.pause();
		let sent = 0;
		const dropsAny = () => {
			if (row.get("messagesIn") === sent) for (let round = 0; round < 20; round++, sent++) sender.send(Buffer.alloc(60_000));
			return row.get("droppedMessages") > 0;
		};
		await waitFor(dropsAny, { deadlineMs: 10_000, what: "a dropped message" });
		expect(await shard.drain(1500)).toBe(1);
	});
});
