import { once } from "node:events";
import { createServer, type Server as HttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type WebSocket, WebSocketServer } from "ws";
import { waitFor } from "../src/wait.ts";
import { Opcode } from "../src/websocket/frames.ts";
import { LibraryClient, RawClient } from "../src/websocket/test-client.ts";

let http: HttpServer;
let server: WebSocketServer;
let url: string;
const accepted: WebSocket[] = [];

beforeEach(async () => {
	http = createServer((_request, response) => response.writeHead(404).end());
	server = new WebSocketServer({ noServer: true });
	http.on("upgrade", (request, socket, head) => {
		if (request.url === "/full") {
			socket.end('HTTP/1.1 503 Service Unavailable\r\ncontent-length: 15\r\n\r\n{"error":"full"}');
			return;
		}
		server.handleUpgrade(request, socket, head, (webSocket) => {
			accepted.push(webSocket);
			webSocket.on("message", (data, binary) => webSocket.send(data, { binary }));
			webSocket.on("error", () => {});
		});
	});
	http.listen(0, "127.0.0.1");
	await once(http, "listening");
	url = `ws://127.0.0.1:${(http.address() as AddressInfo).port}`;
});

afterEach(async () => {
	for (const webSocket of accepted.splice(0)) webSocket.terminate();
	http.closeAllConnections();
	await new Promise((resolve) => http.close(resolve));
});

describe.each([
	["LibraryClient", LibraryClient],
	["RawClient", RawClient],
])("%s", (_name, Client) => {
	it("gets each message back, same type, byte for byte, at every length of the framing", async () => {
		const client = await Client.open(`${url}/?a=b`);
		const payloads = [0, 1, 125, 126, 65_535, 65_536, 200_000].map((length) => Buffer.alloc(length, length % 251));
		for (const payload of payloads) client.send(payload);
		client.send("grüße");
		const messages = await client.waitForMessages(payloads.length + 1);
		for (const [index, payload] of payloads.entries()) expect(messages[index].bytes.equals(payload) && messages[index].binary).toBe(true);
		expect(messages.at(-1)).toEqual({ binary: false, bytes: Buffer.from("grüße") });
		await client.close();
		expect(await client.closed).toMatchObject({ code: 1000 });
	});

	it("tells the server's close code and reason", async () => {
		const client = await Client.open(url);
		accepted[0].close(3008, "slow");
		expect(await client.closed).toEqual({ code: 3008, reason: "slow" });
	});

	it("tells 1006 when the connection breaks without a close frame", async () => {
		const client = await Client.open(url);
		accepted[0].terminate();
		expect((await client.closed).code).toBe(1006);
	});

	it("tells the status of a refusal", async () => {
		await expect(Client.open(`${url}/full`)).rejects.toThrow("503");
	});

	it("fails when nobody listens, and names the number of messages that came when too few do", { tags: ["long"] }, async () => {
		await expect(Client.open("ws://127.0.0.1:1")).rejects.toThrow();
		const client = await Client.open(url);
		client.send("one");
		await expect(client.waitForMessages(2, 100)).rejects.toThrow("1 came");
		await client.close();
	});
});

describe("RawSocket", () => {
	it("answers pings, and does not when it is passive", async () => {
		const client = await RawClient.open(url);
		let pongs = 0;
		accepted[0].on("pong", () => pongs++);
		accepted[0].ping("still there?");
		await waitFor(() => pongs === 1, { deadlineMs: 2_000, what: "a pong" });
		client.socket.passive = true;
		accepted[0].ping();
		accepted[0].send("after the ping");
		await client.waitForMessages(1);
		client.send("after the pong that must not come");
		await client.waitForMessages(2);
		expect(pongs).toBe(1);
		client.socket.reset();
		expect((await client.closed).code).toBe(1006);
	});

	it("refuses a wrong Sec-WebSocket-Accept and an answer that is no HTTP", async () => {
		const answers = ["HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: nonsense\r\n\r\n", "SSH-2.0-OpenSSH\r\n\r\n"];
		const liar = createTcpServer((socket) => socket.on("error", () => {}).write(answers.shift()!));
		liar.listen(0, "127.0.0.1");
		await once(liar, "listening");
		const address = `ws://127.0.0.1:${(liar.address() as AddressInfo).port}`;
		await expect(RawClient.open(address)).rejects.toThrow("wrong Sec-WebSocket-Accept");
		await expect(RawClient.open(address)).rejects.toThrow("no HTTP/1.1");
		liar.close();
	});

	it("sends any bytes, so that a test can cut a frame", async () => {
		const client = await RawClient.open(url);
		client.socket.sendBytes(Buffer.from([0x80 | Opcode.text, 0x82]));
		client.socket.sendBytes(Buffer.from([0, 0, 0, 0, 0x68]));
		client.socket.sendBytes(Buffer.from([0x69]));
		await client.waitForMessages(1);
		expect(client.texts()).toEqual(["hi"]);
		await client.close();
	});
});
