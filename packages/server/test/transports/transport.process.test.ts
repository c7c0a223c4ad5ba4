import { allowedOrigins, refusal } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { RawClient, waitFor } from "@shardcast/testkit";
import { describe } from "vitest";
import type { Session } from "../../src/sessions/session.ts";
import type { TopicTransport } from "../../src/transports/transport.ts";
import { Sockets } from "../../src/transports/websocket/sockets.ts";
import { framesContract, type SendingPeer, type TopicRig, topicsContract, transportContract } from "../contracts/transport-contract.ts";

const bufferedBytesMax = 64 * 1024;

/** uWebSockets.js itself, with clients on bare sockets. */
async function start(): Promise<TopicRig & { connect(session: Session<TopicTransport>): Promise<SendingPeer> }> {
	let next: Session<TopicTransport>;
	let opened = 0;
	const sockets = new Sockets({
		proxyProtocol: false,
		sessions: [
			{
				paths: ["/"],
				limits: () => ({ frameBytesMax: 1_000_000, bufferedBytesMax, idleTimeoutMs: 0 }),
				connect: () => {
					opened++;
					return { session: next };
				},
			},
		],
		routes: [],
		rules: { allowedOrigins: allowedOrigins([]) },
		handlers: {
			connections: () => {},
			socketsMax: () => Number.POSITIVE_INFINITY,
			overfull: () => refusal("shard_full"),
			forwardedAddress: () => null,
			failed: (callback, error) => {
				throw new Error(`${callback} failed`, { cause: error });
			},
		},
		counters: Scoreboard.inMemory(1).row(0),
	});
	const port = await sockets.listen({ host: "127.0.0.1", port: 0 });
	return {
		bufferedBytesMax,
		connect: async (session) => {
			next = session;
			const before = opened;
			const client = await RawClient.open(`ws://127.0.0.1:${port}/`);
			await waitFor(() => opened > before, { deadlineMs: 5000, what: "the session" });
			return {
				received: () => client.messages.map(({ binary, bytes }) => (binary ? `binary:${bytes}` : `${bytes}`)),
				pause: () => client.socket.tcp.pause(),
				resume: () => client.socket.tcp.resume(),
				ended: client.closed,
				leave: (code) => void client.close(code),
				send: (message) => client.send(message),
			};
		},
		publish: (topic, message, isBinary) => void sockets.publish(topic, message, isBinary),
		stop: () => sockets.close(),
	};
}

describe("a WebSocket of uWebSockets.js is a transport", () => {
	describe("every transport", () => transportContract(start));
	describe("a bidirectional one", () => framesContract(start));
	describe("one with topics", () => topicsContract(start));
});
