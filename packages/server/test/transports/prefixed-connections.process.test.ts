import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { defaultConfig } from "@shardcast/config";
import { json, proxyHeader } from "@shardcast/http";
import { AddressTable, RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { openDescriptors, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Feature } from "../../src/lifecycle/feature.ts";
import { LiveConfig } from "../../src/lifecycle/live-config.ts";
import { ConnectionCheck } from "../../src/limits/connection-check.ts";
import type { TopicTransport } from "../../src/transports/transport.ts";
import { Listener } from "../../src/transports/websocket/listener.ts";
import { LabelledSockets } from "../../src/transports/websocket/requests/sockets-labelled.ts";
import { RecordingSession } from "../contracts/transport-contract.ts";

/** A shard's own port with --proxy-protocol: its answer to GET /address is the client's address. */
class Rig {
	readonly row = Scoreboard.inMemory(1).row(0);
	readonly listener: Listener;
	/** Addresses of the WebSockets that have come. */
	readonly webSockets: string[] = [];
	readonly session = new RecordingSession<TopicTransport>();
	readonly #sockets: Socket[] = [];

	constructor(trusted = ["127.0.0.1"], isProxy: ((given: string) => boolean) | null = null, headTimeoutMs = 5000) {
		const { row } = this;
		row.connectionsGiven = 100;
		const config = defaultConfig({ trustedProxies: trusted, proxyProtocol: true, headTimeoutMs });
		const live = new LiveConfig(config);
		const log = silentLog();
		const shared = { config, row, board: Scoreboard.inMemory(1), isProxy, log };
		const openAddresses = () => AddressTable.inMemory(100, 1);
		const check = new ConnectionCheck({ options: { ...shared, rates: RateTable.inMemory(), openAddresses }, live, clients: () => [] });
		const answers: Feature = {
			name: "answers",
			routes: [{ kind: "answer", method: "GET", path: "/address", keepAlive: true, answer: ({ address }) => json(200, { address }) }],
			endpoints: [
				{
					paths: ["/ws"],
					limits: () => ({ frameBytesMax: 100_000, bufferedBytesMax: 1_000_000, idleTimeoutMs: 0 }),
					connect: (request) => {
						this.webSockets.push(check.address(request));
						return { session: this.session };
					},
				},
			],
		};
		const options = { ...shared, address: { host: "127.0.0.1", port: 0 }, handoff: null, certificates: [] };
		this.listener = new Listener({ options, live, check, rules: live, served: [answers] });
	}

	async connect(): Promise<Socket> {
		const socket = connect(this.listener.port, "127.0.0.1");
		this.#sockets.push(socket);
		await once(socket, "connect");
		return socket.on("error", () => {});
	}

	/** What comes back until it matches or the server closes. */
	async say(bytes: Buffer | string, until = never): Promise<string> {
		const socket = await this.connect();
		socket.write(bytes);
		return answer(socket, until);
	}

	refused(): number {
		return this.row.get("refusedProxyHeader");
	}

	close(): void {
		for (const socket of this.#sockets.splice(0)) socket.destroy();
		this.listener.stop();
	}
}

async function answer(socket: Socket, until: RegExp): Promise<string> {
	let text = "";
	let ended = false;
	const onData = (piece: Buffer) => {
		text += piece.toString("latin1");
	};
	const onEnd = () => {
		ended = true;
	};
	socket.on("data", onData).on("close", onEnd).on("end", onEnd);
	await waitFor(() => ended || until.test(text), { deadlineMs: 5000, what: `${until} or the end of the connection, after "${text}"` });
	socket.off("data", onData);
	return text;
}

/** Longer than the interval at which the port looks at the first bytes of a connection. */
const waitForPeek = () => new Promise((resolve) => setTimeout(resolve, 20));

/** Matches nothing. */
const never = /(?!)/;
const get = "GET /address HTTP/1.1\r\nHost: a\r\n\r\n";
const line = "PROXY TCP4 203.0.113.5 198.51.100.2 56324 443\r\n";
const told = (address: string) => new RegExp(`"address":"${address}"`);
const binary = (last: number) => proxyHeader(Buffer.from(`20010db80000000000000000000000${last.toString(16).padStart(2, "0")}`, "hex"), "");
const upgrade = `GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`;

describe("connections that begin with a PROXY header", () => {
	let rig: Rig;
	const start = async (...parts: ConstructorParameters<typeof Rig>) => {
		rig = new Rig(...parts);
		await rig.listener.start();
	};
	afterEach(() => rig.close());

	it("count for the client's address in it, version 1 or 2, for each request of the connection", async () => {
		await start();
		expect(await rig.say(line + get, told("203.0.113.5"))).toMatch(/^HTTP\/1.1 200/);
		expect(await rig.say(Buffer.concat([binary(7), Buffer.from(get)]), told("2001:db8:0:0:0:0:0:7"))).toMatch(/^HTTP\/1.1 200/);
		const socket = await rig.connect();
		socket.write(line + get);
		await answer(socket, told("203.0.113.5"));
		socket.write(get);
		expect(await answer(socket, told("203.0.113.5"))).toMatch(/^HTTP\/1.1 200/);
		expect(rig.refused()).toBe(0);
	});

	it("may arrive in pieces, however small", async () => {
		await start();
		const socket = await rig.connect();
		for (const byte of line + get) {
			await new Promise<void>((resolve) => socket.write(byte, () => setImmediate(resolve)));
		}
		expect(await answer(socket, told("203.0.113.5"))).toMatch(/^HTTP\/1.1 200/);
	});

	it("become WebSockets like others, with any messages", async () => {
		await start();
		const socket = await rig.connect();
		socket.write(line + upgrade);
		expect(await answer(socket, /\r\n\r\n/)).toMatch(/^HTTP\/1.1 101/);
		expect(rig.webSockets).toEqual(["203.0.113.5"]);
		const payload = Buffer.alloc(60_000, 0x61);
		socket.write(Buffer.concat([Buffer.from([0x81, 0xfe, payload.length >> 8, payload.length & 255, 0, 0, 0, 0]), payload]));
		await waitFor(() => rig.session.heard.length === 2, { deadlineMs: 5000, what: "a frame of 60,000 bytes" });
		expect(rig.session.heard[1]).toBe(`text:${payload}`);
		socket.destroy();
		await waitFor(() => rig.session.heard.length === 3, { deadlineMs: 5000, what: "the end of the WebSocket" });
	});

	it("are not confused when there are many at once", async () => {
		await start();
		const texts = await Promise.all(
			Array.from({ length: 80 }, (_, n) =>
				rig.say(Buffer.concat([binary(n), Buffer.from(get)]), told(`2001:db8:0:0:0:0:0:${n.toString(16)}`)),
			),
		);
		expect(texts.filter((text) => !text.startsWith("HTTP/1.1 200"))).toEqual([]);
	});

	it("belong to the load balancer itself if the header names no client", async () => {
		await start();
		expect(await rig.say(`PROXY UNKNOWN\r\n${get}`, told("127.0.0.1"))).toMatch(/^HTTP\/1.1 200/);
		const local = Buffer.concat([Buffer.from("0d0a0d0a000d0a515549540a20000000", "hex"), Buffer.from(get)]);
		expect(await rig.say(local, told("127.0.0.1"))).toMatch(/^HTTP\/1.1 200/);
	});

	it("a client behind the proxy cannot send a second header before a later request", async () => {
		await start();
		for (const request of [get, upgrade]) {
			const socket = await rig.connect();
			socket.write(line + get);
			await answer(socket, told("203.0.113.5"));
			socket.write(Buffer.concat([binary(7), Buffer.from(request)]));
			expect(await answer(socket, never), "the connection is closed").toBe("");
		}
		expect(rig.webSockets).toEqual([]);
		expect(rig.refused()).toBe(2);
	});

	it("do not accumulate when second headers hide their labels", async () => {
		const counts: number[] = [];
		const { forget } = LabelledSockets.prototype;
		const spy = vi.spyOn(LabelledSockets.prototype, "forget").mockImplementation(function (this: LabelledSockets, response) {
			forget.call(this, response);
			counts.push(this.count);
		});
		await start();
		for (let n = 0; n < 20; n++) {
			const socket = await rig.connect();
			socket.write(line + get);
			await answer(socket, told("203.0.113.5"));
			socket.write(Buffer.concat([binary(7), Buffer.from(get)]));
			await answer(socket, never);
		}
		spy.mockRestore();
		expect(counts.at(-1), "at most one for each descriptor that was open").toBeLessThan(6);
	});

	it("a client behind the proxy cannot send a second header immediately", async () => {
		await start();
		expect(await rig.say(Buffer.concat([Buffer.from(line), binary(7), Buffer.from(get)]))).toMatch(/^HTTP\/1.1 400/);
		expect(rig.refused()).toBe(1);
	});

	it.each([
		["version 1", Buffer.from(line)],
		["version 2", binary(7)],
		["version 1 and a request", Buffer.from(line + get)],
		["version 2 and a request", Buffer.concat([binary(7), Buffer.from(get)])],
	])("a client behind the proxy cannot send a second header in a later segment: %s", async (_, second) => {
		await start();
		const socket = await rig.connect();
		socket.write(line);
		await waitForPeek();
		for (const part of [second.subarray(0, 3), second.subarray(3)]) {
			socket.write(part);
			await waitForPeek();
		}
		expect(await answer(socket, never)).toMatch(/^HTTP\/1.1 400[\s\S]*"code":"proxy_header"/);
		expect(rig.refused()).toBe(1);
	});

	it("may wait as long as for a head without a request after the header, and are not counted as refused", async () => {
		await start(["127.0.0.1"], null, 200);
		expect(await rig.say(line)).toMatch(/^HTTP\/1.1 408/);
		expect(rig.refused()).toBe(0);
	});

	it.each(["POST", "PUT", "PROPFIND"])("a request after the header may begin like one, and in pieces: %s", async (method) => {
		await start();
		const socket = await rig.connect();
		for (const part of [line, ...method.slice(0, 4), `${method.slice(4)} /address HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n`]) {
			socket.write(part);
			await waitForPeek();
		}
		expect(await answer(socket, /\r\n\r\n/)).toMatch(/^HTTP\/1.1 40[45]/);
		expect(rig.refused()).toBe(0);
	});

	it("are refused with 400 and counted if it is missing", async () => {
		await start();
		expect(await rig.say(get)).toMatch(/^HTTP\/1.1 400[\s\S]*"code":"proxy_header"/);
		expect(await rig.say("PROXY TCP4 nonsense\r\n")).toMatch(/^HTTP\/1.1 400/);
		expect(rig.refused()).toBe(2);
	});

	it("are refused from an untrusted address, whatever the header says", async () => {
		await start(["10.0.0.0/8"]);
		expect(await rig.say(line + get)).toMatch(/^HTTP\/1.1 400[\s\S]*"code":"proxy_header"/);
		expect(rig.refused()).toBe(1);
	});

	it("are recognised by the token when our own balancer sends them", async () => {
		await start(["10.0.0.0/8"], (given) => given === "secret");
		const from = (token: string) => Buffer.concat([proxyHeader(new Uint8Array(16), token), Buffer.from(get)]);
		expect(await rig.say(from("secret"), told("0:0:0:0:0:0:0:0"))).toMatch(/^HTTP\/1.1 200/);
		for (const token of ["guess", ""]) expect(await rig.say(from(token))).toMatch(/^HTTP\/1.1 400/);
		expect(await rig.say(line + get)).toMatch(/^HTTP\/1.1 400/);
		expect(rig.refused()).toBe(3);
	});

	it("that send their header too slowly are closed", async () => {
		await start(["127.0.0.1"], null, 200);
		expect(await rig.say("PROXY TCP4 203.0")).toMatch(/^HTTP\/1.1 408[\s\S]*the PROXY header did not arrive in time/);
		expect(rig.refused()).toBe(1);
	});

	it("leave nothing behind, whenever they close", async () => {
		await start();
		const before = openDescriptors(process.pid);
		for (const bytes of ["", "PROXY", line, line + get, line + get.slice(0, 9), line + upgrade]) {
			const socket = await rig.connect();
			socket.write(bytes);
			await new Promise((resolve) => setTimeout(resolve, 2));
			socket.destroy();
		}
		// What earlier tests have closed may still be among those before.
		await waitFor(() => openDescriptors(process.pid) <= before && rig.row.connections === 0, {
			deadlineMs: 5000,
			what: `${before} descriptors as before, and no connections`,
		});
	});
});
