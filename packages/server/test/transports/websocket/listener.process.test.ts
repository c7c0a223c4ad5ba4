import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { defaultConfig } from "@shardcast/config";
import { json } from "@shardcast/http";
import { AddressTable, RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { silentLog } from "@shardcast/telemetry";
import { httpRequest, RawClient, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { Feature } from "../../../src/lifecycle/feature.ts";
import { LiveConfig } from "../../../src/lifecycle/live-config.ts";
import { ConnectionCheck } from "../../../src/limits/connection-check.ts";
import type { TopicTransport } from "../../../src/transports/transport.ts";
import { Listener } from "../../../src/transports/websocket/listener.ts";
import { featureContract } from "../../contracts/feature-contract.ts";
import { RecordingSession } from "../../contracts/transport-contract.ts";

const sockets: Socket[] = [];
const listeners: Listener[] = [];
afterEach(() => {
	for (const socket of sockets.splice(0)) socket.destroy();
	for (const listener of listeners.splice(0)) listener.stop();
});

const post = "POST /take HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n";

/** A listener with one route, which takes a body. */
function create(...more: Feature[]) {
	const row = Scoreboard.inMemory(1).row(0);
	row.connectionsGiven = 100;
	const config = defaultConfig();
	const live = new LiveConfig(config);
	const log = silentLog();
	const rates = RateTable.inMemory();
	const options = {
		config,
		row,
		board: Scoreboard.inMemory(1),
		rates,
		openAddresses: () => AddressTable.inMemory(100, 1),
		isProxy: null,
		log,
	};
	const check = new ConnectionCheck({ options, live, clients: () => [] });
	const bodies: Feature = {
		name: "bodies",
		routes: [{ kind: "body", method: "POST", path: "/take", bodyBytesMax: 100, begin: () => () => json(200, {}) }],
	};
	const address = { host: "127.0.0.1", port: 0 };
	const listener = new Listener({
		options: { config, row, log, address, handoff: null, certificates: [], isProxy: null },
		live,
		check,
		rules: live,
		served: [bodies, ...more],
	});
	listeners.push(listener);
	return { listener, row };
}

async function client(listener: Listener): Promise<Socket> {
	const socket = connect(listener.port, "127.0.0.1");
	sockets.push(socket);
	await once(socket, "connect");
	return socket.on("error", () => {});
}

describe("the listener", () => {
	featureContract(() => {
		const { listener, row } = create();
		let socket: Socket;
		return {
			feature: listener,
			work: {
				begin: async () => {
					socket = await client(listener);
					socket.write(`${post}ab`);
					await waitFor(() => listener.sockets.bodies.count === 1, { deadlineMs: 5000, what: "half a body" });
				},
				finish: () => void socket.write("cd"),
			},
			held: () => row.connections,
			isOpen: async () => {
				if (listener.port === 0) return false;
				return client(listener).then(
					(open) => {
						open.destroy();
						return true;
					},
					() => false,
				);
			},
			runs: null,
		};
	});

	it("serves each path by its session factory; plain HTTP requests are told to use a WebSocket", async () => {
		const sessions = new Map(["/a", "/b"].map((path) => [path, new RecordingSession<TopicTransport>()]));
		const endpoints = [...sessions].map(([path, session]) => ({
			paths: [path],
			limits: () => ({ frameBytesMax: 100, bufferedBytesMax: 1000, idleTimeoutMs: 0 }),
			connect: () => ({ session }),
		}));
		const { listener } = create({ name: "sessions", endpoints });
		await listener.start();
		const raw = await RawClient.open(`ws://127.0.0.1:${listener.port}/b?x=1`);
		raw.send("hello");
		await waitFor(() => sessions.get("/b")!.heard.length === 2, { deadlineMs: 5000, what: "the frame" });
		expect(sessions.get("/b")!.heard).toEqual(["opened", "text:hello"]);
		expect(sessions.get("/a")!.heard).toEqual([]);
		await raw.close();
		expect((await httpRequest(`http://127.0.0.1:${listener.port}/a`)).status).toBe(426);
		await expect(RawClient.open(`ws://127.0.0.1:${listener.port}/c`)).rejects.toThrow(/404/);
	});

	it("accepts no connection on the port once it drains", async () => {
		const { listener } = create();
		await listener.start();
		await client(listener);
		await listener.drain(1000);
		await expect(client(listener)).rejects.toThrow(/ECONNREFUSED/);
	});
});
