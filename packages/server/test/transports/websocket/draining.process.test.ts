import { allowedOrigins, refusal } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, expect, it } from "vitest";
import type { Session } from "../../../src/sessions/session.ts";
import type { TopicTransport } from "../../../src/transports/transport.ts";
import { Sockets } from "../../../src/transports/websocket/sockets.ts";

const messages = 120;
const messageBytes = 100_000;

/** Sends messages while nothing waits in its socket: first when it opens, then whenever the socket has written something. */
class Sender implements Session<TopicTransport> {
	sent = 0;
	/** How often it was told that the socket has written something. */
	told = 0;
	transport!: TopicTransport;
	readonly #goOn: (pump: () => void) => void;

	constructor(goOn: (pump: () => void) => void) {
		this.#goOn = goOn;
	}

	opened(transport: TopicTransport): void {
		this.transport = transport;
		this.#pump();
	}

	writable(): void {
		this.told++;
		this.#goOn(this.#pump);
	}

	frame(): void {}

	dropped(): void {}

	closed(): void {}

	readonly #pump = (): void => {
		for (; this.sent < messages && this.transport.getBufferedAmount() === 0; this.sent++)
			this.transport.send(Buffer.alloc(messageBytes, this.sent), true);
	};
}

let sockets: Sockets;
afterEach(() => sockets.close());

/** @param session of the one client. */
async function serve(session: Sender, failures: unknown[]): Promise<string> {
	sockets = new Sockets({
		proxyProtocol: false,
		sessions: [
			{
				paths: ["/"],
				limits: () => ({ frameBytesMax: 1000, bufferedBytesMax: 2 * messageBytes, idleTimeoutMs: 0 }),
				connect: () => ({ session }),
			},
		],
		routes: [],
		rules: { allowedOrigins: allowedOrigins([]) },
		handlers: {
			connections: () => {},
			socketsMax: () => Number.POSITIVE_INFINITY,
			overfull: () => refusal("shard_full"),
			forwardedAddress: () => null,
			failed: (...failure) => void failures.push(failure),
		},
		counters: Scoreboard.inMemory(1).row(0),
	});
	return `ws://127.0.0.1:${await sockets.listen({ host: "127.0.0.1", port: 0 })}/`;
}

// The library forgot such a client when it was sent more within its event: it held bytes for it, and reported nothing any more.
it.each([
	["at once", (pump: () => void): void => pump()],
	["in a microtask", (pump: () => void): void => queueMicrotask(pump)],
	["in the next tick", (pump: () => void): void => process.nextTick(pump)],
])("a client that reads again gets all, long messages too, when it is sent more %s", async (_when, goOn) => {
	const sender = new Sender(goOn);
	const failures: unknown[] = [];
	const client = await RawClient.open(await serve(sender, failures));
	client.socket.tcp.pause();
	await waitFor(() => sender.transport.getBufferedAmount() > 0, { deadlineMs: 5000, what: "a socket that takes no more" });
	client.socket.tcp.resume();
	await client.waitForMessages(messages, 20_000).catch((error: unknown) => {
		const { sent, told } = sender;
		throw new Error(`told ${told} times, ${sent} sent, ${sender.transport.getBufferedAmount()} bytes kept`, { cause: error });
	});
	const content = client.messages.map(({ bytes }) => [bytes.length, bytes[0], bytes.at(-1)]);
	expect(content).toEqual(Array.from({ length: messages }, (_, number) => [messageBytes, number, number]));
	expect(failures).toEqual([]);
	await client.close();
});
