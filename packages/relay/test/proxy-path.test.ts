import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { allowedOrigins, Router } from "@shardcast/http";
import { waitFor } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Answers, ProxyPath, Refusals, Responder, type Target, type TargetFailure, type TargetRequest } from "../src/index.ts";

const head =
	"Host: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13";
const upgrade = `GET / HTTP/1.1\r\n${head}\r\n\r\n`;
const publish = "POST /api/publish HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";
const refused = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\n\r\nno";
const unavailable = "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 4\r\n\r\nfull";
const accepted = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

let target: Server;
let sockets: Socket[];
let received: string;
let answer: string;
/** Why targets were shunned. */
let failures: TargetFailure[];
/** The answer to a request that was sent in vain before. */
let nextAnswer: string | null;
/** How many requests the target did not serve. */
let unservedCount: number;
let path: ProxyPath | null = null;
beforeEach(async () => {
	received = "";
	failures = [];
	unservedCount = 0;
	nextAnswer = null;
	sockets = [];
	target = createServer((socket) => {
		sockets.push(socket);
		socket.on("error", () => {});
		socket.on("data", (bytes) => {
			received += bytes.toString();
			if (bytes.toString().endsWith("\r\n\r\n")) socket.write(answer, "latin1");
		});
	}).listen(0, "127.0.0.1");
	await once(target, "listening");
});
afterEach(async () => {
	path?.close();
	for (const socket of sockets) socket.destroy();
	target.close();
	await once(target, "close");
});

/** Connects to a proxy before the target. @param answerMs for the first attempt. */
async function client(isLastHop: boolean, answerMs = 0) {
	const { port } = target.address() as { port: number };
	const link = { tls: null, token: null, preface: null, isLastHop, dialMs: 5000, answerMs, idleMs: 0, onIdle: () => {} };
	const shun = (failure: TargetFailure): void => void failures.push(failure);
	const pick = ({ tried }: TargetRequest): Target => {
		if (tried.length === 0) return one;
		answer = nextAnswer ?? answer;
		return later;
	};
	const unserved = (): void => void unservedCount++;
	const one: Target = { host: "127.0.0.1", port, link, isStandingStill: false, count: () => {}, connected: () => {}, unserved, shun };
	const later: Target = { ...one, link: { ...link, answerMs: 0 } };
	path = new ProxyPath({
		responder: new Responder({
			count: () => {},
			answers: new Answers(new Router([], { allowedOrigins: allowedOrigins([]) }), 8192),
			trustedProxies: [],
			rules: () => null,
		}),
		targets: {
			...{ open: () => {}, look: () => {}, pick, refusal: () => Refusals.noShard },
			...{ mayTakeBack: false, waitMs: 0, heldUpMs: 0, areHeldUp: () => false, unreachable: Refusals.noShard },
		},
		headBytesMax: 8192,
		headTimeoutMs: 10_000,
		proxyProtocol: false,
		secure: null,
		descriptorsMax: 1000,
		leavePerSecond: () => 100,
	});
	const socket = connect(await path.open({ host: "127.0.0.1", port: 0 }), "127.0.0.1");
	const state = { text: "", isEnded: false };
	socket.on("data", (bytes) => {
		state.text += bytes.toString();
	});
	socket.on("end", () => {
		state.isEnded = true;
	});
	socket.on("error", () => {});
	return { socket, state };
}

const becomes = (what: string, condition: () => boolean) => waitFor(condition, { deadlineMs: 5000, what });

describe("a proxied connection whose WebSocket is refused", () => {
	it("to another machine: it ends with the response, so that the next request can go elsewhere", async () => {
		answer = refused;
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the end", () => state.isEnded);
		expect(state.text).toBe(refused);
		socket.write(publish);
		socket.end();
		await becomes("the end of the connection to the target", () => sockets[0]!.readableEnded || sockets[0]!.destroyed);
		expect(received).not.toContain("publish");
	});

	it("whose client leaves before there is a response: the target is told, and holds nothing for it", async () => {
		answer = "";
		const { socket } = await client(true);
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.endsWith("\r\n\r\n"));
		socket.end();
		await becomes("the end of the connection to the target", () => sockets[0]!.readableEnded || sockets[0]!.destroyed);
	});

	it("whose client leaves before there is a response to its upgrade, after another request on the connection: the target is told as well", async () => {
		answer = refused;
		const { socket, state } = await client(false);
		socket.write(publish);
		await becomes("the first response", () => state.text === refused);
		answer = "";
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.includes("Upgrade: websocket"));
		socket.end();
		await becomes("the end of the connection to the target", () => sockets[0]!.readableEnded || sockets[0]!.destroyed);
	});

	it("to a shard here: further requests follow on it", async () => {
		answer = refused;
		const { socket, state } = await client(false);
		socket.write(upgrade);
		await becomes("the first response", () => state.text === refused);
		socket.write(publish);
		await becomes("the second response", () => state.text === refused + refused);
		expect(received).toContain("POST /api/publish");
		expect(state.isEnded).toBe(false);
		socket.destroy();
	});

	it("one that is accepted goes on, to another machine as well", async () => {
		answer = accepted;
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the WebSocket", () => state.text === accepted);
		socket.write("more");
		await becomes("bytes of the client", () => received.endsWith("more"));
		sockets[0]!.write("back");
		await becomes("bytes of the target", () => state.text.endsWith("back"));
		expect(state.isEnded).toBe(false);
		socket.destroy();
	});
});

describe("another machine that cannot serve a WebSocket", () => {
	it.each([503, 502, 504, 501, 521])(
		"and answers %d: another one gets the request, and the client only what that one answers",
		async (status) => {
			answer = unavailable.replace("503", String(status));
			nextAnswer = accepted;
			const { socket, state } = await client(true);
			socket.write(upgrade);
			await becomes("the WebSocket", () => state.text === accepted);
			expect([failures, sockets.length], "it may serve others").toEqual([[], 2]);
			socket.write("more");
			await becomes("bytes of the client", () => received.endsWith("more"));
			sockets[1]!.write("back");
			await becomes("bytes of the target", () => state.text === `${accepted}back`);
			await becomes("the end of the first connection", () => sockets[0]!.destroyed);
			socket.destroy();
		},
	);

	it("and answers 503 after interim answers, byte by byte: another one gets the request all the same", async () => {
		answer = "";
		nextAnswer = accepted;
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.endsWith("\r\n\r\n"));
		sockets[0]!.setNoDelay(true);
		for (const byte of `HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n${unavailable}`) {
			sockets[0]!.write(byte);
			await new Promise(setImmediate);
		}
		await becomes("the WebSocket", () => state.text === accepted);
		expect([failures, unservedCount]).toEqual([[], 1]);
		socket.destroy();
	});

	it.each([
		["says nothing", "", 0],
		["sends its answer byte by byte", "HTTP/1.1 101 Switching Protocols\r\nX: ".padEnd(10_000, "x"), 5],
		["sends one interim answer after the other", "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(100), 5],
	])("and %s: when its time is over another one gets the request, and it none for a moment", async (_, slow, everyMs) => {
		answer = "";
		nextAnswer = accepted;
		const { socket, state } = await client(true, 300);
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.endsWith("\r\n\r\n"));
		let sent = 0;
		const timer = setInterval(() => sockets[0]!.write(slow[sent++] ?? ""), Math.max(1, everyMs));
		try {
			await becomes("the WebSocket", () => state.text === accepted);
		} finally {
			clearInterval(timer);
		}
		expect([failures, unservedCount, sockets.length]).toEqual([["broken"], 1, 2]);
		await new Promise((resolve) => setTimeout(resolve, 400));
		sockets[1]!.write("back");
		await becomes("bytes of the target, however late", () => state.text === `${accepted}back`);
		socket.destroy();
	});

	it.each([
		["that is not HTTP", "SSH-2.0-OpenSSH_9.6\r\n"],
		["that is not HTTP, in a single byte", "x"],
		["of HTTP/2", "HTTP/2 101 \r\n\r\n"],
		["without a status", "HTTP/1.1 okay\r\n\r\n"],
		["that is not HTTP, after an interim one", "HTTP/1.1 100 Continue\r\n\r\nnonsense"],
	])("and gives an answer %s: another one gets the request, and it none for a moment", async (_, nonsense) => {
		answer = nonsense;
		nextAnswer = accepted;
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the WebSocket", () => state.text === accepted);
		expect([failures, unservedCount, sockets.length]).toEqual([["broken"], 1, 2]);
		socket.destroy();
	});

	it.each([
		["/", 200],
		["/?channels=a", 204],
		["/ws", 301],
		["/connection/websocket", 404],
		["/connection/uni_websocket?cf_connect=x", 405],
		["/", 426],
	])(
		"and answers a WebSocket at %s with %d, as no shard does: another one gets the request, and it none for a moment",
		async (path, status) => {
			answer = refused.replace("401", String(status));
			nextAnswer = accepted;
			const { socket, state } = await client(true);
			socket.write(upgrade.replace("/", path));
			await becomes("the WebSocket", () => state.text === accepted);
			expect([failures, unservedCount, sockets.length]).toEqual([["broken"], 1, 2]);
			socket.destroy();
		},
	);

	it.each([
		["/", 400],
		["/", 401],
		["/connection/websocket", 403],
		["/", 408],
		["/", 429],
		["/", 431],
		["/", 500],
		["/console/", 200],
		["/nowhere", 404],
		["/api/publish", 405],
		["/connection/websocket/", 404],
	])("one that answers %s with %d has decided: the client gets it, and others may still go there", async (path, status) => {
		answer = refused.replace("401", String(status));
		const { socket, state } = await client(true);
		socket.write(upgrade.replace("/", path));
		await becomes("the answer", () => state.text === answer);
		expect([failures, unservedCount, sockets.length]).toEqual([[], 0, 1]);
		socket.destroy();
	});

	it("as all others cannot: after four the client is refused", async () => {
		answer = unavailable;
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the end", () => state.isEnded);
		expect(state.text).toMatch(/^HTTP\/1\.1 503 /);
		expect(state.text).not.toContain("full");
		expect([failures, sockets.length]).toEqual([[], 4]);
		socket.destroy();
	});

	it("and breaks off within its answer: the client gets nothing of that, and the machine no clients for a moment", async () => {
		answer = "HTTP/1.1 101 Switching Protocols\r\nConnection";
		const { socket, state } = await client(true);
		const closed = once(socket, "close");
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.endsWith("\r\n\r\n"));
		sockets[0]!.end();
		await closed;
		expect([state.text, failures]).toEqual(["", ["broken"]]);
	});

	it("an answer in pieces is passed on whole", async () => {
		answer = "";
		const { socket, state } = await client(true);
		socket.write(upgrade);
		await becomes("the upgrade at the target", () => received.endsWith("\r\n\r\n"));
		sockets[0]!.setNoDelay(true);
		for (const byte of `${accepted}first frame`) {
			sockets[0]!.write(byte);
			await new Promise(setImmediate);
		}
		await becomes("the WebSocket", () => state.text === `${accepted}first frame`);
		socket.destroy();
	});

	it("a shard here that answers 503 has decided: the client gets it", async () => {
		answer = unavailable;
		const { socket, state } = await client(false);
		socket.write(upgrade);
		await becomes("the response", () => state.text === unavailable);
		expect(failures).toEqual([]);
		socket.destroy();
	});
});

describe("the end of the proxy, for a client on another machine", () => {
	const closed = "\u0088\u0080\u0000\u0000\u0000\u0000";
	const goingAway = "\u0088\u0002\u0003\u00e9";

	/** A WebSocket whose bytes are characters here. */
	async function webSocket(first = "") {
		answer = accepted + first;
		const { socket, state } = await client(true);
		socket.setEncoding("latin1");
		// As clients do.
		socket.on("data", (text) => String(text).endsWith(goingAway) && socket.write(closed, "latin1"));
		socket.write(upgrade);
		await becomes("the WebSocket", () => state.text === accepted + first);
		return { socket, state };
	}

	it.each([
		["which has got nothing", "", ""],
		["which has got a whole frame with the answer", "\u0082\u0002ab", ""],
		["which has got a part of a frame: after the rest", "\u0082\u0004ab", "cd\u0082\u0001x\u0082\u0009later"],
	])("%s: it is closed with 1001, and the proxy waits no longer", async (_, first, rest) => {
		const { socket, state } = await webSocket(first);
		const drained = path!.drain(60_000);
		if (rest !== "") {
			await new Promise((resolve) => setTimeout(resolve, 100));
			expect(state.text, "no frame within another one").toBe(accepted + first);
			sockets[0]!.write(rest, "latin1");
		}
		const whole = rest.slice(0, rest.length && rest.indexOf("\u0082\u0009"));
		await becomes("the end", () => state.isEnded);
		expect(state.text).toBe(accepted + first + whole + goingAway);
		socket.end();
		const saidMs = performance.now();
		expect(await drained, "none is cut off").toBe(0);
		expect(performance.now() - saidMs, "ms until the client's answer was read").toBeLessThan(4000);
	});

	it("that gets an answer of HTTP: it gets all of it, and nothing else", async () => {
		// Its body looks like a whole frame and the beginning of another one.
		const begun = "HTTP/1.1 401 Unauthorized\r\nContent-Length: 6\r\n\r\n\u0082\u0000";
		answer = begun;
		const { socket, state } = await client(true);
		socket.setEncoding("latin1");
		socket.write(upgrade);
		await becomes("the beginning of the answer", () => state.text === begun);
		const drained = path!.drain(60_000);
		await new Promise((resolve) => setTimeout(resolve, 100));
		sockets[0]!.write("rest");
		await becomes("the end", () => state.isEnded);
		expect(state.text).toBe(`${begun}rest`);
		socket.end();
		await drained;
	});

	it("at most so many per second, all in the first half of the time", async () => {
		const { socket, state } = await webSocket();
		const begunMs = performance.now();
		const drained = path!.drain(1000);
		await becomes("the end", () => state.isEnded);
		expect(performance.now() - begunMs).toBeLessThan(900);
		socket.end();
		await drained;
	});
});
