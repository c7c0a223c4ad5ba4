import { once } from "node:events";
import { connect } from "node:net";
import { allowedOrigins, type Reply, type Route, type StreamStart } from "@shardcast/http";
import { Scoreboard } from "@shardcast/scoreboard";
import { waitFor } from "@shardcast/testkit";
import { describe, expect } from "vitest";
import type { Session } from "../../src/sessions/session.ts";
import { StreamTransport } from "../../src/transports/stream-transport.ts";
import type { Transport } from "../../src/transports/transport.ts";
import { Sockets } from "../../src/transports/websocket/sockets.ts";
import { type Peer, type TransportRig, transportContract } from "../contracts/transport-contract.ts";

const bufferedBytesMax = 64 * 1024;

/** A stream does not show where a message ends: each is written with its kind and length. */
function framed(message: string | Uint8Array, isBinary: boolean): Buffer {
	const bytes = Buffer.from(message as string);
	return Buffer.concat([Buffer.from(`${isBinary ? "b" : "t"}${bytes.length}:`), bytes]);
}

/** All whole messages in a body, and the farewell. */
function messagesIn(body: string): { readonly messages: string[]; readonly farewell: string | null } {
	const messages: string[] = [];
	for (let at = 0; at < body.length; ) {
		if (body[at] === "!") return { messages, farewell: body.slice(at + 1) };
		const colon = body.indexOf(":", at);
		const length = Number(body.slice(at + 1, colon));
		const end = colon + 1 + length;
		if (colon < 0 || end > body.length) break;
		messages.push(`${body[at] === "b" ? "binary:" : ""}${body.slice(colon + 1, end)}`);
		at = end;
	}
	return { messages, farewell: null };
}

/** Of a chunked answer, as far as it has come. */
function bodyOf(answer: string): string {
	let body = "";
	if (!answer.includes("\r\n\r\n")) return body;
	for (let at = answer.indexOf("\r\n\r\n") + 4; ; ) {
		const lineEnd = answer.indexOf("\r\n", at);
		const length = Number.parseInt(answer.slice(at, lineEnd), 16);
		if (lineEnd < 0 || length === 0) return body;
		if (!(length > 0)) throw new Error(`${JSON.stringify(answer.slice(at, lineEnd))} is no length of a chunk`);
		body += answer.slice(lineEnd + 2, lineEnd + 2 + length);
		at = lineEnd + 2 + length + 2;
	}
}

/** Streams of uWebSockets.js, with clients on bare sockets; by POST, as most clients open them, or by GET. */
async function start(method: "GET" | "POST"): Promise<TransportRig> {
	let next: Session;
	let opened = 0;
	const stream = (): StreamStart => {
		const session = next;
		let transport: StreamTransport;
		return {
			type: "text/plain",
			opened: (reply) => {
				opened++;
				transport = new StreamTransport(reply, session, {
					bufferedBytesMax,
					farewell: (code, reason) => Buffer.from(`!${code} ${reason}`),
				});
				const framing: Transport = {
					send: (message, isBinary) => transport.send(framed(message, isBinary)),
					getBufferedAmount: () => transport.getBufferedAmount(),
					end: (code, reason) => transport.end(code, reason),
					close: () => transport.close(),
					getRemoteAddressAsText: () => transport.getRemoteAddressAsText(),
				};
				session.opened(framing);
				expect(Buffer.from(framing.getRemoteAddressAsText()).toString()).toMatch(/127\.0\.0\.1|7f00:0001$/);
			},
			closed: () => transport.over(),
			writable: () => session.writable(),
		};
	};
	const route: Route =
		method === "GET"
			? { kind: "stream", method, path: "/", begin: stream }
			: { kind: "body", method, path: "/", bodyBytesMax: 100, begin: () => stream };
	const sockets = new Sockets({
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
	const port = await sockets.listen({ host: "127.0.0.1", port: 0 });
	return {
		bufferedBytesMax,
		leavesWithoutCode: true,
		connect: async (session): Promise<Peer> => {
			next = session;
			const before = opened;
			const socket = connect(port, "127.0.0.1").setEncoding("latin1");
			let answer = "";
			socket.on("data", (data: string) => {
				answer += data;
				if (answer.endsWith("\r\n0\r\n\r\n")) socket.end();
			});
			socket.on("error", () => {});
			const body = method === "POST" ? "Content-Length: 5\r\n\r\nhello" : "\r\n";
			socket.write(`${method} / HTTP/1.1\r\nHost: a\r\n${body}`);
			await waitFor(() => opened > before, { deadlineMs: 5000, what: "the stream" });
			return {
				received: () => messagesIn(bodyOf(answer)).messages,
				pause: () => socket.pause(),
				resume: () => socket.resume(),
				ended: once(socket, "close").then(() => {
					const told = /^(\d+) (.*)$/.exec(messagesIn(bodyOf(answer)).farewell ?? "");
					return told === null ? { code: 1006, reason: "" } : { code: Number(told[1]), reason: told[2]! };
				}),
				leave: () => socket.destroy(),
			};
		},
		stop: () => sockets.close(),
	};
}

describe("a streamed response is a transport", () => {
	describe.each(["GET", "POST"] as const)("to a %s", (method) => transportContract(() => start(method)));
});
