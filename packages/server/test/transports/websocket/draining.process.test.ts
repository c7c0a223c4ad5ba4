import { setTimeout as sleep } from "node:timers/promises";
import { allowedOrigins } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import type { Session } from "../../../src/sessions/session.ts";
import type { TopicTransport } from "../../../src/transports/transport.ts";
import { type SocketHandlers, Sockets } from "../../../src/transports/websocket/sockets.ts";

const messageBytes = 500_000;
const messages = 60;
const lowMark = 65_536;

/** Sends messages while the socket has room, as a queue does: first when it opens, then whenever it has written something. */
class Sender implements Session<TopicTransport> {
	sent = 0;
	#transport!: TopicTransport;

	opened(transport: TopicTransport): void {
		this.#transport = transport;
		this.writable();
	}

	writable(): void {
		for (; this.sent < messages && this.#transport.getBufferedAmount() < lowMark; this.sent++)
			this.#transport.send(Buffer.alloc(messageBytes, this.sent), true);
	}

	frame(): void {}
	dropped(): void {}
	closed(): void {}
}

let sockets: Sockets;
afterEach(() => sockets.close());

it("goes on writing what is sent when the socket has room again, to a client that reads in pieces", async () => {
	const failures: unknown[] = [];
	const handlers: Partial<SocketHandlers> = {
		connections: () => {},
		socketsMax: () => Number.POSITIVE_INFINITY,
		forwardedAddress: () => null,
		failed: (callback, error) => failures.push(callback, error),
	};
	sockets = new Sockets({
		proxyProtocol: false,
		sessions: [
			{
				paths: ["/"],
				limits: () => ({ frameBytesMax: 100_000, bufferedBytesMax: 2 * messageBytes, idleTimeoutMs: 0 }),
				connect: () => ({ session: new Sender() }),
			},
		],
		routes: [],
		rules: { allowedOrigins: allowedOrigins([]) },
		handlers: handlers as SocketHandlers,
		counters: Scoreboard.inMemory(1).row(0),
	});
	const port = await sockets.listen({ host: "127.0.0.1", port: 0 });
	const client = await RawClient.open(`ws://127.0.0.1:${port}/`);
	const { tcp } = client.socket;
	const pieces = (async () => {
		while (client.messages.length < messages && !tcp.destroyed) {
			tcp.pause();
			await sleep(2);
			tcp.resume();
			await sleep(2);
		}
	})();
	try {
		await waitFor(() => client.messages.length === messages, { deadlineMs: 20_000, what: "all messages" });
		const content = client.messages.map(({ bytes }) => [bytes.length, bytes[0], bytes.at(-1)]);
		expect(content).toEqual(Array.from({ length: messages }, (_, number) => [messageBytes, number, number]));
		expect(failures).toEqual([]);
	} finally {
		tcp.destroy();
		await pieces;
	}
});
