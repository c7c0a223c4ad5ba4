import { DeliveryChecker, httpRequest, type LibraryClient, type RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards } from "../harness.ts";

let running: TestShards | undefined;
const start = async (...args: Parameters<typeof startShards>): Promise<TestShards> => {
	running = await startShards(...args);
	return running;
};
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

/** Nothing more may come: proven by a last message that is delivered after whatever was under way. */
async function barrier(shards: TestShards, clients: readonly LibraryClient[]): Promise<void> {
	const answer = await httpRequest(`${shards.shards[0].httpUrl}/api/publish`, { method: "POST", body: '{"data":"barrier"}' });
	expect(answer.status).toBe(200);
	// Not by a count: what was sent just before may come first.
	await waitFor(() => clients.every((client) => client.texts().at(-1) === "barrier"), { deadlineMs: 5000, what: "the last message" });
}

describe("the raw endpoint", () => {
	it("sends a frame to all other clients on all shards, not back, with the same type, byte for byte", async () => {
		const cluster = await start(2);
		const clients = await Promise.all([0, 0, 1, 1].map((shard, index) => cluster.client(shard, index % 2 === 0 ? "/" : "/ws")));
		const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
		const longest = Buffer.alloc(65_536, 0xa5);
		const sent: (string | Buffer)[] = ["", "text", "ünïcödé 🎉", Buffer.alloc(0), everyByte, longest, "x".repeat(65_536), "last"];
		for (const message of sent) clients[0].send(message);
		for (const client of clients.slice(1)) {
			const messages = await client.waitForMessages(sent.length);
			expect(messages).toHaveLength(sent.length);
			messages.forEach((message, index) => {
				expect(message.binary).toBe(Buffer.isBuffer(sent[index]));
				expect(message.bytes.equals(Buffer.from(sent[index]))).toBe(true);
			});
		}
		await barrier(cluster, clients);
		expect(clients[0].texts()).toEqual(["barrier"]);
		expect(clients.slice(1).map((client) => client.messages.length)).toEqual([9, 9, 9]);
	});

	it("delivers each message of many senders on several shards once to each client, in its sender's order", async () => {
		const cluster = await start(3);
		const clients = await Promise.all(Array.from({ length: 12 }, (_, index) => cluster.client(index % 3)));
		const perSender = 300;
		for (let sequence = 0; sequence < perSender; sequence++)
			clients.forEach((client, sender) => {
				client.send(`${sender} ${sequence}`);
			});
		await Promise.all(clients.map((client) => client.waitForMessages((clients.length - 1) * perSender, 20_000)));
		await barrier(cluster, clients);
		const checker = new DeliveryChecker(clients.length, clients.length);
		clients.forEach((client, index) => {
			for (const text of client.texts().slice(0, -1)) checker.saw(index, ...(text.split(" ").map(Number) as [number, number]));
		});
		const report = checker.report((client, sender) => (client === sender ? 0 : perSender));
		expect(report).toMatchObject({ lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] });
	});

	it("delivers once to each client of a channel, and to clients without channels", async () => {
		const cluster = await start(2);
		const open = (shard: number, channels: string) => cluster.client(shard, channels === "" ? "/" : `/?channels=${channels}`);
		const [all, a, ab, b, c, sender] = await Promise.all([
			open(0, ""),
			open(1, "a"),
			open(0, "a,b"),
			open(1, "b"),
			open(0, "c"),
			open(1, "b,a"),
		]);
		const everyone = [all, a, ab, b, c, sender];
		sender.send("to a and b");
		await Promise.all([all, a, ab, b].map((client) => client.waitForMessages(1)));
		await httpRequest(`${cluster.shards[1].httpUrl}/api/publish`, { method: "POST", body: '{"channel":"c","data":{"to":"c"}}' });
		await Promise.all([all.waitForMessages(2), c.waitForMessages(1)]);
		const octets = { method: "POST", headers: { "content-type": "application/octet-stream" }, body: Buffer.from([0, 1, 255]) };
		await httpRequest(`${cluster.shards[0].httpUrl}/api/publish?channel=a`, octets);
		await Promise.all([all.waitForMessages(3), a.waitForMessages(2), ab.waitForMessages(2), sender.waitForMessages(1)]);
		all.send("to all");
		await barrier(cluster, everyone);
		const binary = Buffer.from([0, 1, 255]).toString();
		expect(all.texts()).toEqual(["to a and b", '{"to":"c"}', binary, "barrier"]);
		expect(all.messages[2].binary).toBe(true);
		expect(a.texts()).toEqual(["to a and b", binary, "to all", "barrier"]);
		expect(ab.texts()).toEqual(["to a and b", binary, "to all", "barrier"]);
		expect(b.texts()).toEqual(["to a and b", "to all", "barrier"]);
		expect(c.texts()).toEqual(['{"to":"c"}', "to all", "barrier"]);
		expect(sender.texts()).toEqual([binary, "to all", "barrier"]);
	});

	it("counts received and delivered messages", async () => {
		const cluster = await start(2);
		const clients = await Promise.all([0, 0, 1].map((shard) => cluster.client(shard)));
		clients[0].send("hello");
		clients[2].send("you");
		await Promise.all([clients[0].waitForMessages(1), clients[1].waitForMessages(2), clients[2].waitForMessages(1)]);
		const sum = (counter: Parameters<(typeof cluster.shards)[0]["row"]["get"]>[0]) =>
			cluster.shards.reduce((total, { row }) => total + row.get(counter), 0);
		// The counters follow at the end of the flush, which is after the clients got theirs; a record without recipients may be read last.
		await waitFor(() => sum("deliveries") === 4 && sum("recordsRead") === 4, { deadlineMs: 2000, what: "4 deliveries of 4 records" });
		expect(sum("deliveredBytes")).toBe(2 * 5 + 2 * 3);
		expect(sum("messagesIn")).toBe(2);
		expect(sum("bytesIn")).toBe(8);
		expect(sum("recordsRead")).toBe(4);
		expect(sum("flushes")).toBeGreaterThan(0);
		expect(cluster.shards[0].row.histograms.publishToSendMs.read().count).toBe(3);
	});

	it("keeps the registry correct, however clients disconnect", async () => {
		const cluster = await start(1);
		const { row } = cluster.shards[0];
		const clients = await Promise.all(Array.from({ length: 8 }, () => cluster.rawClient()));
		expect({ webSockets: row.webSockets, connections: row.connections }).toEqual({ webSockets: 8, connections: 8 });
		await clients[0].close(1000);
		await clients[1].close(4000);
		clients[2].socket.reset();
		clients[3].socket.tcp.destroy();
		clients[4].socket.sendBytes(Buffer.alloc(32, 0xff));
		// A close frame without a code, as `socket.close()` in a browser sends it: masked, no payload.
		clients[6].socket.sendBytes(Buffer.from([0x88, 0x80, 0, 0, 0, 0]));
		await clients[7].close(1008);
		await waitFor(() => row.webSockets === 1 && row.connections === 1, { deadlineMs: 5000, what: "one client left" });
		expect(row.get("opened")).toBe(8);
		expect(row.get("closed")).toBe(7);
		expect(row.get("closedNormal")).toBe(1);
		expect(row.get("closedNoCode")).toBe(1);
		expect(row.get("closedRateLimited")).toBe(1);
		expect(row.get("closedOther")).toBe(1);
		expect(row.get("closedAbnormal")).toBe(3);
		clients[5].send("to nobody");
		await waitFor(() => row.get("recordsRead") === 1, { deadlineMs: 2000, what: "the record" });
		expect(row.get("deliveries")).toBe(0);
	});

	it("accepts a burst of large messages as fast as one client can send it", async () => {
		const cluster = await start(2);
		const [sender, near, far] = [await cluster.client(), await cluster.client(), await cluster.client(1)];
		const count = 200;
		for (let sequence = 0; sequence < count; sequence++) sender.send(Buffer.alloc(60_000, sequence));
		for (const client of [near, far]) {
			const messages = await client.waitForMessages(count, 10_000);
			expect(messages.map(({ bytes }) => bytes[0])).toEqual(Array.from({ length: count }, (_, sequence) => sequence));
		}
	});

	it("excludes nobody else when the sender has disconnected before its message is delivered", async () => {
		const cluster = await start(1);
		const listener = await cluster.client();
		const clients: RawClient[] = [];
		for (let round = 0; round < 20; round++) {
			const client = await cluster.rawClient();
			client.send(`${round}`);
			client.socket.close();
			clients.push(client);
		}
		await listener.waitForMessages(20);
		expect(listener.texts()).toEqual(Array.from({ length: 20 }, (_, round) => `${round}`));
	});
});
