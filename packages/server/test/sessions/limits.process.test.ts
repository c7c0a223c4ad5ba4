import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { defaultConfig } from "@shardcast/config";
import { webSocketPaths } from "@shardcast/http";
import type { HealthReport } from "@shardcast/scoreboard";
import { requestAllowance } from "@shardcast/scoreboard";
import { getJson, httpRequest, LibraryClient, RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards, type TestShardsOptions } from "../harness.ts";

let running: TestShards | undefined;
const start = async (options: TestShardsOptions = {}): Promise<TestShards> => {
	running = await startShards(1, options);
	return running;
};
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

describe("the limit of open files", () => {
	it("limits clients and silent connections: one too many is told at once, then cut, and there is room again when others close", async () => {
		const cluster = await start({ parts: { connectionsFit: 3 } });
		const { row, httpUrl } = cluster.shards[0];
		expect([row.connectionsMax, row.socketsMax]).toEqual([3, 3 + requestAllowance]);
		const clients = [await cluster.rawClient(), await cluster.rawClient(), await cluster.rawClient()];
		await expect(cluster.rawClient()).rejects.toThrow(/503[\s\S]*shard_full/);
		expect((await httpRequest(`${httpUrl}/api/publish`, { method: "POST", body: '{"data":1}' })).status).toBe(200);

		const idle: Idle[] = [];
		const fill = async (count: number) => idle.push(...(await Promise.all(Array.from({ length: count }, () => connectIdle(row.port)))));
		await waitFor(() => row.connections === 3, { deadlineMs: 2000, what: "the end of the two requests" });
		await fill(requestAllowance);
		await waitFor(() => row.connections === row.socketsMax, { deadlineMs: 2000, what: "as many connections as may be" });
		expect(idle.map(({ received }) => received())).toEqual(idle.map(() => ""));
		// They stay, though they have been told.
		await fill(32);
		await waitFor(() => idle.filter(({ received }) => received().includes("shard_full")).length === 32, {
			deadlineMs: 2000,
			what: "32 that are told without having asked",
		});
		await fill(50);
		await waitFor(() => idle.slice(-50).every(({ socket }) => socket.readableEnded || socket.destroyed), {
			deadlineMs: 2000,
			what: "the rest to be cut",
		});
		expect(row.connections).toBeLessThanOrEqual(row.socketsMax + 32);
		expect(row.get("refused")).toBe(1 + 32 + 50);

		for (const { socket } of idle) socket.destroy();
		await clients[0]!.close();
		await waitFor(() => row.connections === 2, { deadlineMs: 2000, what: "the two clients that are left" });
		await cluster.rawClient();
	});
});

describe("a reload that fails", () => {
	it("applies none of its options", async () => {
		const noMoreFiles = () => {
			throw new Error("open: EMFILE");
		};
		const cluster = await start({ parts: { openAddresses: noMoreFiles } });
		const { shard, httpUrl } = cluster.shards[0];
		expect(() => shard.reload(defaultConfig({ apiKey: "secret", maxConnectionsPerIp: 1, connectionRate: 1 }))).toThrow("EMFILE");
		const publish = () => httpRequest(`${httpUrl}/api/publish`, { method: "POST", body: '{"data":1}' });
		expect((await publish()).status).toBe(200);
		for (let count = 0; count < 5; count++) await cluster.rawClient();
		shard.reload(defaultConfig({ apiKey: "secret" }));
		expect((await publish()).status).toBe(401);
	});
});

interface Idle {
	readonly socket: Socket;
	received(): string;
}

/** A connection that sends nothing, and does not close when it is told to go. */
async function connectIdle(port: number): Promise<Idle> {
	const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
	let text = "";
	socket.on("data", (chunk: Buffer) => {
		text += chunk.toString("latin1");
	});
	socket.on("error", () => {});
	await once(socket, "connect");
	return { socket, received: () => text };
}

describe("limits of one client", () => {
	it("1009: a frame above --max-payload closes its sender with a reason; one at the limit does not", async () => {
		const cluster = await start();
		const { row } = cluster.shards[0];
		const listener = await cluster.client();
		for (const bytes of [65_537, 300_000]) {
			const sender = await cluster.client();
			sender.send(Buffer.alloc(65_536));
			sender.send(Buffer.alloc(bytes));
			expect(await sender.closed).toEqual({ code: 1009, reason: "message too big" });
		}
		// So long that it is not even read: the connection is cut, and counted the same.
		const huge = await cluster.client();
		huge.send(Buffer.alloc(5_000_000));
		expect((await huge.closed).code).toBe(1006);
		await listener.waitForMessages(2);
		expect(listener.messages.map(({ bytes }) => bytes.length)).toEqual([65_536, 65_536]);
		await waitFor(() => row.get("closedTooBig") === 3, { deadlineMs: 2000, what: "three counted" });
		expect(row.get("closed")).toBe(3);
	});

	it("1009: fragments count together", async () => {
		const cluster = await start({ config: { maxPayloadBytes: 1000 } });
		const client = await cluster.rawClient();
		const fragment = (opcode: number, final: boolean) =>
			Buffer.concat([Buffer.from([(final ? 0x80 : 0) | opcode, 0xfe, 0x02, 0x58, 0, 0, 0, 0]), Buffer.alloc(600)]);
		client.socket.sendBytes(fragment(2, false));
		client.socket.sendBytes(fragment(0, true));
		expect(await client.closed).toEqual({ code: 1009, reason: "message too big" });
	});

	it("1008: above --message-rate", async () => {
		const cluster = await start({ config: { messageRate: 10 } });
		const [sender, listener] = [await cluster.client(), await cluster.client()];
		for (let count = 0; count < 50; count++) sender.send(`${count}`);
		expect((await sender.closed).code).toBe(1008);
		await listener.waitForMessages(10);
		expect(listener.texts().slice(0, 10)).toEqual(Array.from({ length: 10 }, (_, count) => `${count}`));
		const { row } = cluster.shards[0];
		expect(row.get("rateLimited")).toBe(1);
		await waitFor(() => row.get("closed") === 1, { deadlineMs: 2000, what: "the end to be counted" });
		expect([row.get("closedRateLimited"), row.get("closedOther")]).toEqual([1, 0]);
	});

	it("3507: with an API key, clients may only receive, and a forged message reaches nobody, unless --client-publish allows it", async () => {
		const apiKey = "a-secret-key";
		const cluster = await start({ config: { apiKey, requireAuth: false } });
		const { row, httpUrl, shard } = cluster.shards[0];
		const mayPublish = async () => (await getJson<HealthReport>(`${httpUrl}/health`)).mayPublish;
		const [listener, forger] = [await cluster.client(), await cluster.client()];
		forger.send("forged");
		expect(await forger.closed).toEqual({ code: 3507, reason: "clients only receive here; publish over HTTP" });
		expect(await mayPublish()).toEqual({ http: "key", webSocket: "nobody" });
		await httpRequest(`${httpUrl}/api/publish`, { method: "POST", headers: { "x-api-key": apiKey }, body: '{"data":"with the key"}' });
		await listener.waitForMessages(1);
		await waitFor(() => row.get("closedReceiveOnly") === 1, { deadlineMs: 2000, what: "one counted" });

		// Live, for those that are here already.
		shard.reload(defaultConfig({ apiKey, requireAuth: false, clientPublish: "on" }));
		(await cluster.client()).send("allowed");
		await listener.waitForMessages(2);
		expect(await mayPublish()).toEqual({ http: "key", webSocket: "everyone" });
		shard.reload(defaultConfig({ clientPublish: "off" }));
		expect(await mayPublish()).toEqual({ http: "everyone", webSocket: "nobody" });
		listener.send("refused");
		expect((await listener.closed).code).toBe(3507);
		expect(listener.texts()).toEqual(["with the key", "allowed"]);
		expect(row.get("messagesIn")).toBe(2);
	});

	it("1013: when the bus stays full for longer than its messages can be held; others are not affected, nothing is lost", async () => {
		const cluster = await start({ members: 2, capacityBytes: 1 << 20, config: { maxPayloadBytes: 100_000 } });
		const { row } = cluster.shards[0];
		const stuck = cluster.bus.link(1);
		const [flood, other, listener] = [await cluster.client(), await cluster.client(), await cluster.client()];
		const bytes = 60_000;
		for (let sequence = 0; sequence < 350; sequence++) flood.send(Buffer.alloc(bytes, sequence));
		expect(await flood.closed).toEqual({ code: 1013, reason: "try again later" });
		const published = row.get("messagesIn") + 1;
		expect(published).toBeLessThan(350);
		other.send("patient");
		await waitFor(() => row.get("messagesIn") === published, { deadlineMs: 2000, what: "the other's message to be held" });
		// Everything that was taken comes, in order, then the other's.
		await waitFor(() => stuck.read(10_000, () => {}) >= 0 && listener.messages.length >= published, { deadlineMs: 10_000, what: "all" });
		expect(listener.messages.at(-1)!.bytes.toString()).toBe("patient");
		expect(listener.messages.slice(0, -1).map(({ bytes: [first] }) => first)).toEqual(
			Array.from({ length: published - 1 }, (_, index) => index & 255),
		);
		expect(row.get("closedBusFull")).toBe(1);
		expect(row.webSockets).toBe(2);
	});

	it("503: one connection more than the shard may have; there is room again when one closes", async () => {
		const cluster = await start({ connectionsMax: 2 });
		const first = await cluster.client();
		await cluster.client();
		await expect(cluster.client()).rejects.toThrow(/503/);
		expect(cluster.shards[0].row.get("refused")).toBe(1);
		await first.close();
		await waitFor(() => cluster.shards[0].row.webSockets === 1, { deadlineMs: 2000, what: "one less" });
		await cluster.client();
	});

	it("a full shard keeps some connections of publishers open, and closes the others after their answers, so that there is always room", async () => {
		const cluster = await start({ connectionsMax: 2 });
		const { row } = cluster.shards[0];
		const publisher = async () => {
			const { socket, received } = await connectIdle(row.port);
			const publish = async (): Promise<string> => {
				const before = received().length;
				socket.write('POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{"data":1}');
				await waitFor(() => received().length > before, { deadlineMs: 2000, what: "the answer" });
				return received().slice(before);
			};
			return { socket, publish };
		};
		const publishers: Awaited<ReturnType<typeof publisher>>[] = [];
		try {
			const idle = requestAllowance / 2;
			for (let made = 0; made < 2 * requestAllowance; made++) {
				const one = await publisher();
				publishers.push(one);
				const answer = await one.publish();
				expect(answer).toMatch(/^HTTP\/1\.1 200 /);
				// There are no clients yet.
				expect(/\r\nConnection: close\r\n/i.test(answer), `${made}`).toBe(made >= idle + 1);
				if (made > idle) await waitFor(() => one.socket.readableEnded, { deadlineMs: 2000, what: "the end" });
			}
			await waitFor(() => row.connections === idle + 1, { deadlineMs: 2000, what: "those that stay" });
			await cluster.client();
			await cluster.client();
			// When clients come, those that publish again make room.
			expect(await publishers[0]!.publish()).toMatch(/\r\nConnection: close\r\n/i);
			await waitFor(() => row.connections === idle + 2, { deadlineMs: 2000, what: "one less" });
		} finally {
			for (const { socket } of publishers) socket.destroy();
		}
	});

	it("refuses an upgrade with JSON that says why", async () => {
		const cluster = await start({ config: { allowedOrigins: ["https://ours.example"] } });
		const { url } = cluster.shards[0];
		await expect(RawClient.open(`${url}/?channels=`)).rejects.toThrow(/400.*"code":"bad_request".*empty/);
		await expect(LibraryClient.open(url, { origin: "https://theirs.example" })).rejects.toThrow(/403/);
		await expect(RawClient.open(`${url}/nowhere`)).rejects.toThrow(/404/);
		// A balancer takes what answers otherwise there for something else than a shard.
		for (const path of webSocketPaths) await (await RawClient.open(url + path)).close();
		const ours = await LibraryClient.open(url, { origin: "https://ours.example" });
		await ours.close();
		await waitFor(() => cluster.shards[0].row.connections === 0, { deadlineMs: 2000, what: "no connections" });
	});

	it("closes only clients that answer no ping within --idle-timeout", async () => {
		const cluster = await start({ config: { idleTimeoutMs: 8000 } });
		const alive = await cluster.rawClient();
		const dead = await cluster.rawClient();
		dead.socket.passive = true;
		expect((await dead.closed).code).toBe(1006);
		expect(cluster.shards[0].row.get("closedAbnormal")).toBe(1);
		alive.send("still there");
		await waitFor(() => cluster.shards[0].row.get("messagesIn") === 1, { deadlineMs: 2000, what: "the other client" });
	}, 40_000);
});
