import { once } from "node:events";
import type { Socket } from "node:net";
import { type Config, defaultConfig } from "@shardcast/config";
import { waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import { WebSocket } from "ws";
import { startShards, type TestShards } from "../harness.ts";

let running: TestShards | undefined;
const sockets: WebSocket[] = [];
afterEach(async () => {
	for (const socket of sockets.splice(0)) socket.terminate();
	await running?.stop();
	running = undefined;
});

async function start(config: Partial<Config> = {}): Promise<TestShards["shards"][0]> {
	const channelWithoutNamespace = { ...defaultConfig().channelWithoutNamespace, historySize: 10, historyTtlMs: 60_000 };
	running = await startShards(1, { config: { clientInsecure: true, webSocketCompression: true, channelWithoutNamespace, ...config } });
	return running.shards[0];
}

/** What a client got, and how many bytes came for it. */
class Client {
	readonly got: string[] = [];
	readonly socket: WebSocket;
	closedWith = 0;
	#before = 0;

	constructor(url: string, perMessageDeflate: boolean) {
		this.socket = new WebSocket(url, { perMessageDeflate: perMessageDeflate && { threshold: 0 } });
		sockets.push(this.socket);
		this.socket.on("message", (data) => this.got.push(String(data)));
		this.socket.on("close", (code) => (this.closedWith = code));
	}

	static async open(url: string, perMessageDeflate = true): Promise<Client> {
		const client = new Client(url, perMessageDeflate);
		await once(client.socket, "open");
		return client;
	}

	/** The next message, and the bytes that came since the one before. */
	async next(): Promise<{ text: string; bytes: number }> {
		const count = this.got.length;
		await waitFor(() => this.got.length > count, { deadlineMs: 5000, what: "a message" });
		const { bytesRead } = (this.socket as unknown as { _socket: Socket })._socket;
		const bytes = bytesRead - this.#before;
		this.#before = bytesRead;
		return { text: this.got.at(-1)!, bytes };
	}
}

const long = JSON.stringify(Array.from({ length: 200 }, (_, index) => ({ symbol: "ACME", index, price: 100 })));

it("raw clients that offer it get compressed messages, the same as the others get", async () => {
	const { url } = await start();
	const [deflating, plain, sender] = [await Client.open(`${url}/`), await Client.open(`${url}/`, false), await Client.open(`${url}/`)];
	expect([deflating.socket.extensions, plain.socket.extensions]).toEqual([expect.stringContaining("permessage-deflate"), ""]);
	for (const text of [long, long]) {
		const both = Promise.all([deflating.next(), plain.next()]);
		sender.socket.send(text);
		const [small, whole] = await both;
		expect([small.text, whole.text]).toEqual([text, text]);
		expect(small.bytes, "bytes of the compressed message").toBeLessThan(text.length / 3);
		expect(whole.bytes).toBeGreaterThan(text.length);
	}
	const short = deflating.next();
	sender.socket.send("short");
	expect(await short, "below websocket.compression_min_size").toEqual({ text: "short", bytes: "short".length + 2 });
});

it("clients of the protocol get compressed publications, and replies that leave whole", async () => {
	const { url } = await start();
	const client = await Client.open(`${url}/connection/websocket`);
	const ask = async (command: object) => {
		const reply = client.next();
		client.socket.send(JSON.stringify(command));
		const { text, bytes } = await reply;
		return { reply: JSON.parse(text), text, bytes };
	};
	await ask({ id: 1, connect: {} });
	expect(await ask({ id: 2, subscribe: { channel: "a" } })).toMatchObject({ reply: { id: 2, subscribe: {} } });
	const sender = await Client.open(`${url}/connection/websocket`);
	sender.socket.send(
		`${JSON.stringify({ id: 1, connect: {} })}\n${JSON.stringify({ id: 2, publish: { channel: "a", data: JSON.parse(long) } })}`,
	);
	const push = await client.next();
	expect(JSON.parse(push.text).push.pub.data).toEqual(JSON.parse(long));
	expect(push.bytes, "bytes of the publication").toBeLessThan(long.length / 3);
	const { reply, bytes } = await ask({ id: 3, history: { channel: "a", limit: 10 } });
	expect(reply.history.publications[0].data).toEqual(JSON.parse(long));
	expect(bytes, "bytes of the reply").toBeLessThan(long.length / 3);
});

it("a message that would be too long once it is inflated ends its connection, however short it came", async () => {
	const { url, row } = await start({ maxPayloadBytes: 64 * 1024 });
	const client = await Client.open(`${url}/`);
	const other = await Client.open(`${url}/`);
	const before = process.memoryUsage().rss;
	client.socket.send("0".repeat(50 * 1024 * 1024));
	await waitFor(() => client.closedWith !== 0, { deadlineMs: 20_000, what: "the end of the connection" });
	expect(row.get("closedTooBig"), "counted as too long").toBe(1);
	expect(process.memoryUsage().rss - before, "memory, with what this client took itself").toBeLessThan(200 * 1024 * 1024);
	expect(other.got).toEqual([]);
});

it("an offer that cannot be kept, such as of a smaller window, is declined", async () => {
	const { url } = await start();
	const asked = async (extensions: string) => {
		const socket = new WebSocket(`${url}/`, { perMessageDeflate: false, headers: { "Sec-WebSocket-Extensions": extensions } });
		sockets.push(socket);
		// The client of these tests refuses an extension that it has not offered itself.
		return once(socket, "open").then(() => "declined", String);
	};
	expect(await asked("permessage-deflate; server_max_window_bits=9")).toBe("declined");
	expect(await asked("permessage-deflate; server_max_window_bits=15")).not.toBe("declined");
});

it("nothing is offered unless it is switched on", async () => {
	const { url } = await start({ webSocketCompression: false });
	expect((await Client.open(`${url}/`)).socket.extensions).toBe("");
});
