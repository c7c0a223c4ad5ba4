import { connect, type Socket } from "node:net";
import { allowedOrigins, type Reply, type ReplyStream, type Route, StreamNeeded } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { Streams } from "../../src/transports/websocket/requests/sockets-streams.ts";
import { Sockets } from "../../src/transports/websocket/sockets.ts";
import { GuardedApp } from "../../src/transports/websocket/sockets-app.ts";
import { us_socket_local_port } from "../../src/transports/websocket/sockets-native.ts";

/** A shard's HTTP with one route that answers in parts. */
class Rig {
	readonly opened: ReplyStream[] = [];
	closed = 0;
	writable = 0;
	port = 0;
	readonly sockets: Sockets;

	constructor() {
		const route: Route = {
			kind: "stream",
			method: "GET",
			path: "/stream",
			begin: () => ({
				type: "text/event-stream",
				idlePart: ":\n\n",
				headers: { "X-Kind": "test" },
				opened: (stream) => {
					this.opened.push(stream);
					stream.write("first\n\n");
				},
				closed: () => {
					this.closed++;
				},
				writable: () => {
					this.writable++;
				},
			}),
		};
		this.sockets = new Sockets({
			proxyProtocol: false,
			sessions: [],
			routes: [route],
			rules: { allowedOrigins: allowedOrigins([]) },
			handlers: {
				connections: () => {},
				socketsMax: () => Number.POSITIVE_INFINITY,
				overfull: (): Reply => expect.unreachable(),
				forwardedAddress: () => null,
				failed: (callback, error) => {
					throw new Error(`${callback} failed`, { cause: error });
				},
			},
			counters: Scoreboard.inMemory(1).row(0),
		});
	}

	async open(): Promise<{ readonly socket: Socket; received: () => string; readonly stream: ReplyStream }> {
		if (this.port === 0) this.port = await this.sockets.listen({ host: "127.0.0.1", port: 0 });
		const socket = connect({ port: this.port, host: "127.0.0.1" });
		let received = "";
		socket.setEncoding("latin1").on("data", (data: string) => {
			received += data;
		});
		socket.on("error", () => {});
		const place = this.opened.length;
		socket.write("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
		await waitFor(() => received.includes("first"), { deadlineMs: 5000, what: "the first part" });
		return { socket, received: () => received, stream: this.opened[place] };
	}
}

let rig: Rig;
afterEach(() => rig.sockets.close());
const waits = (condition: () => boolean, what: string, deadlineMs = 5000) => waitFor(condition, { deadlineMs, everyMs: 2, what });

describe("a streamed response", () => {
	it("has a head, then each part as it is written, in text or bytes, and closes its connection at the end", async () => {
		rig = new Rig();
		const { socket, received, stream } = await rig.open();
		expect(received()).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*Content-Type: text\/event-stream\r\n[\s\S]*Transfer-Encoding: chunked\r\n/);
		expect(received()).toMatch(/\r\nX-Kind: test\r\n/);
		expect(stream.write("second\n\n")).toBe(0);
		stream.write(Buffer.from("third\n\n"));
		await waits(() => received().includes("third"), "the third part");
		expect(received().indexOf("second")).toBeLessThan(received().indexOf("third"));
		stream.close();
		await waits(() => received().endsWith("0\r\n\r\n"), "the end of the body");
		const body = received().slice(received().indexOf("\r\n\r\n") + 4);
		expect(body).toMatch(/^(?:[\da-f]+\r\n(?:(?:first|second|third)\n\n)+\r\n)+0\r\n\r\n$/);
		expect(received()).toMatch(/\r\nConnection: close\r\n/);
		socket.destroy();
		expect(rig.closed).toBe(1);
		stream.close();
		expect(stream.write("too late")).toBe(0);
		expect(rig.closed).toBe(1);
	});

	it("reports once when the client has disconnected, and accepts no more", async () => {
		rig = new Rig();
		const { socket, stream } = await rig.open();
		socket.destroy();
		await waits(() => rig.closed > 0, "the end");
		expect(stream.write("too late")).toBe(0);
		stream.close();
		expect(rig.closed).toBe(1);
	});

	it("reports how much waits for a client that does not read, loses nothing, and reports when it has caught up", async () => {
		rig = new Rig();
		const { socket, received, stream } = await rig.open();
		socket.pause();
		let written = 0;
		await waits(() => {
			written += 100_000;
			return stream.write("@".repeat(100_000)) > 1_000_000;
		}, "a slow client");
		expect(stream.bufferedBytes).toBeGreaterThan(1_000_000);
		expect(rig.writable).toBe(0);
		socket.resume();
		await waits(() => rig.writable > 0, "what waited", 10_000);
		expect(stream.bufferedBytes).toBe(0);
		stream.write("the end");
		await waits(() => received().includes("the end"), "the end");
		expect(received().match(/@/g)).toHaveLength(written);
		stream.close();
	});

	it("does not keep the bytes of a part", async () => {
		rig = new Rig();
		const { received, stream } = await rig.open();
		const part = Buffer.from("second");
		stream.write(part);
		part.fill("X");
		await waits(() => /second|XXXXXX/.test(received()), "the second part");
		expect(received()).toContain("second");
	});

	it("sends the rest of the last part without another one", async () => {
		rig = new Rig();
		const { socket, received, stream } = await rig.open();
		socket.pause();
		let written = 0;
		while (stream.write("@".repeat(40_000)) === 0) written += 40_000;
		socket.resume();
		await waits(() => (received().match(/@/g)?.length ?? 0) === written + 40_000, "all of it");
	});

	it("writes its idle part when nothing else is written, so that proxies do not close it", async () => {
		rig = new Rig();
		const app = new GuardedApp((callback, error) => {
			throw new Error(`${callback} failed`, { cause: error });
		});
		const streams = new Streams(app, 20);
		const start = { type: "text/plain", idlePart: "idle.", opened: () => {}, closed: () => {} };
		const head: Reply = { status: 200, body: "", type: "text/plain", headers: {}, close: true };
		app.any("/*", (response) => streams.open(response, new StreamNeeded(head, start)));
		let port = 0;
		app.listen("127.0.0.1", 0, 0, (socket) => {
			port = us_socket_local_port(socket as never);
		});
		const socket = connect(port, "127.0.0.1").setEncoding("latin1");
		let received = "";
		socket.on("data", (data: string) => {
			received += data;
		});
		socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
		await waits(() => (received.match(/idle\./g)?.length ?? 0) >= 3, "three idle parts");
		socket.destroy();
		app.close();
	});
});
