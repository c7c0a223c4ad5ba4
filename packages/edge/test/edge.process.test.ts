import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { Agent, request } from "node:http";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePorts, httpRequest, makeCertificate, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { EdgeRig } from "./support/edge-rig.ts";
import { client, edge, node, opened, raw, soon, stopAll, upgrade } from "./support/edge-test.ts";

afterEach(stopAll);

describe("an edge", () => {
	it("passes WebSockets on, to each node in turn, with the client's address", async () => {
		const nodes = [await node("a"), await node("b")];
		const rig = await edge(nodes);
		const names: string[] = [];
		for (let count = 0; count < 4; count++) names.push(await (await client(rig)).nodeName());
		expect(names.filter((name) => name === "a")).toHaveLength(2);
		for (const { requests } of nodes)
			for (const headers of requests) {
				expect(headers["x-forwarded-for"]).toBe("127.0.0.1");
				expect(headers["x-shardcast-proxy"]).toBeUndefined();
				expect(headers.host).toBe(`127.0.0.1:${rig.port}`);
			}
		expect(await rig.metric("shardcast_edge_assignments_total", { result: "connected" })).toBe(4);
		expect(await rig.metric("shardcast_edge_open_connections")).toBe(4);
	});

	it("adds the address of its peer to what a proxy before it has written", async () => {
		const one = await node("a");
		const rig = await edge([one]);
		await httpRequest(`http://127.0.0.1:${rig.port}/x`, { headers: { "X-Forwarded-For": "203.0.113.7" } });
		expect(one.requests[0]!["x-forwarded-for"]).toBe("203.0.113.7, 127.0.0.1");
	});

	it("passes requests of one connection to one node, with their bodies", async () => {
		const rig = await edge([await node("a"), await node("b")]);
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		opened.push({ stop: () => agent.destroy() });
		const post = (body: string) =>
			new Promise<{ node: string; body: string }>((resolve, reject) => {
				const asked = request({ agent, host: "127.0.0.1", port: rig.port, path: "/api/publish", method: "POST" }, (response) => {
					let text = "";
					response.on("data", (piece: Buffer) => {
						text += piece.toString();
					});
					response.on("end", () => resolve(JSON.parse(text)));
				});
				asked.on("error", reject);
				asked.end(body);
			});
		const answers = [await post("one"), await post("two"), await post("x".repeat(100_000))];
		expect(answers.map(({ body }) => body.length)).toEqual([3, 3, 100_000]);
		expect(new Set(answers.map((answer) => answer.node)).size).toBe(1);
	});

	it("passes an event stream on as it comes, and ends it for the node when the client leaves", async () => {
		const one = await node("a");
		const rig = await edge([one]);
		const { socket, text } = raw(rig);
		socket.write("GET /stream HTTP/1.1\r\nHost: a\r\n\r\n");
		await waitFor(() => text().includes("data: one"), { ...soon, what: "the first event" });
		expect(rig.edge.connections).toBe(1);
		socket.destroy();
		await waitFor(() => rig.edge.connections === 0, { ...soon, what: "the end" });
	});

	it("tries another node when one cannot be reached, and gives it no more clients", async () => {
		const [gone, there] = [await node("gone"), await node("there")];
		const rig = await edge([gone, there], { edgeCheckIntervalMs: 60_000 });
		await gone.stop();
		const names = await Promise.all(Array.from({ length: 6 }, async () => (await client(rig)).nodeName()));
		expect(new Set(names)).toEqual(new Set(["there"]));
		expect(await rig.metric("shardcast_edge_assignments_total", { node: gone.address, result: "failed" })).toBeGreaterThan(0);
		expect(await rig.metric("shardcast_edge_assignments_total", { node: there.address, result: "connected" })).toBe(6);
		expect((await httpRequest(`http://127.0.0.1:${rig.port}/ready`)).status).toBe(200);
	});

	it("answers 503 with Retry-After when no node is left, and serves again when one is back", async () => {
		const port = await freePorts();
		const one = await node("a", { port });
		const rig = await edge([one]);
		await one.stop();
		const refused = await httpRequest(`http://127.0.0.1:${rig.port}/api/publish`, { method: "POST", body: "{}" });
		expect([refused.status, refused.headers["retry-after"]]).toEqual([503, "1"]);
		expect(JSON.parse(refused.body).error.code).toBe("no_node");
		await waitFor(async () => (await httpRequest(`http://127.0.0.1:${rig.port}/health`)).status === 503, { ...soon, what: "unhealthy" });
		const report = JSON.parse((await httpRequest(`http://127.0.0.1:${rig.port}/health`)).body);
		expect(report.nodes).toEqual([
			{ id: one.address, address: one.address, status: "unavailable", reason: "cannot be reached: ECONNREFUSED", connections: 0 },
		]);
		expect((await httpRequest(`http://127.0.0.1:${rig.port}/ready`)).status).toBe(503);
		await node("a", { port });
		await rig.nodesUp(1);
		expect(await (await client(rig)).nodeName()).toBe("a");
	});

	it("sends nothing a second time: a connection that breaks after the request was passed on is closed", async () => {
		const nodes = [await node("a"), await node("b")];
		const rig = await edge(nodes);
		const one = await client(rig);
		const name = await one.nodeName();
		const closed = once(one.socket, "close");
		await nodes.find((each) => each.name === name)!.stop();
		await closed;
		expect(nodes.reduce((sum, { requests }) => sum + requests.length, 0)).toBe(1);
	});

	it.each(["user_hash", "ip_hash"] as const)("%s: the same key gets the same node, also through another edge", async (selectStrategy) => {
		const nodes = [await node("a"), await node("b"), await node("c")];
		const edges = [await edge(nodes, { selectStrategy }), await edge(nodes, { selectStrategy })];
		// Whatever the ports: all get the same node in one of 2,187 runs. More could reach the bound that moves them to another node.
		const users = Array.from({ length: 8 }, (_, index) => `user${index}`);
		const through = (rig: EdgeRig) => Promise.all(users.map(async (user) => (await client(rig, `/?user=${user}`)).nodeName()));
		const [first, second] = [await through(edges[0]!), await through(edges[1]!)];
		expect(second).toEqual(first);
		expect(new Set(first).size).toBeGreaterThan(selectStrategy === "user_hash" ? 1 : 0);
		if (selectStrategy === "ip_hash") expect(new Set(first).size).toBe(1);
	});

	it("weighted: a node with weight 3 gets three times as many", async () => {
		const [light, heavy] = [await node("light"), await node("heavy")];
		const rig = await edge([light, heavy], { edgeNodes: [light.address, `${heavy.address}=3`], selectStrategy: "weighted" });
		for (let count = 0; count < 8; count++) await client(rig);
		expect([light.sockets.size, heavy.sockets.size]).toEqual([2, 6]);
	});

	it.each([
		["draining", { draining: true }, 200],
		["unhealthy", {}, 503],
	])("a node that is %s keeps its clients and gets no new ones", async (_, health, status) => {
		const [leaving, staying] = [await node("leaving"), await node("staying")];
		const rig = await edge([leaving, staying]);
		const clients = [await client(rig), await client(rig)];
		Object.assign(leaving, { health, healthStatus: status });
		await rig.nodesUp(1);
		for (let count = 0; count < 3; count++) expect(await (await client(rig)).nodeName()).toBe("staying");
		expect((await Promise.all(clients.map((each) => each.nodeName()))).sort()).toEqual(["leaving", "staying"]);
	});

	it("reads from a node only as fast as the client does, and loses nothing", async () => {
		const one = await node("a");
		const rig = await edge([one]);
		const slow = await client(rig);
		await slow.nodeName();
		slow.socket.pause();
		const piece = Buffer.alloc(1_000_000);
		const pieces = 48;
		const [server] = one.sockets;
		for (let count = 0; count < pieces; count++) server!.send(piece);
		await waitFor(() => server!.bufferedAmount > 0, { ...soon, what: "bytes that wait" });
		let before = -1;
		// Until nothing moves.
		await waitFor(
			() => {
				const same = before === server!.bufferedAmount;
				before = server!.bufferedAmount;
				return same;
			},
			{ ...soon, everyMs: 100, what: "a stop" },
		);
		expect(server!.bufferedAmount).toBeGreaterThan(8_000_000);
		slow.socket.resume();
		await waitFor(() => slow.answers.length === 1 + pieces, { deadlineMs: 30_000, what: "all pieces" });
	});

	it("a client may close its side first: what the node still sends arrives", async () => {
		const one = await node("a");
		const rig = await edge([one]);
		const { socket, text } = raw(rig);
		socket.write(upgrade);
		await waitFor(() => text().includes("101"), { ...soon, what: "the upgrade" });
		const [server] = one.sockets;
		const { _socket: nodeSide } = server as unknown as { readonly _socket: Socket };
		// ws would end its side as well.
		nodeSide.removeAllListeners("end");
		const ended = once(nodeSide, "end");
		socket.end();
		await ended;
		nodeSide.write("last words");
		await waitFor(() => text().endsWith("last words"), { ...soon, what: "the last words" });
	});

	it("--edge-max-connections: one more gets 503, and gets in when another has left", async () => {
		const rig = await edge([await node("a")], { edgeMaxConnections: 2 });
		const clients = [await client(rig), await client(rig)];
		const refused = await httpRequest(`http://127.0.0.1:${rig.port}/x`);
		expect([refused.status, JSON.parse(refused.body).error.message]).toEqual([
			503,
			"this edge has reached its limit of 2 connections (--edge-max-connections)",
		]);
		expect(await rig.metric("shardcast_edge_connections_total", { outcome: "refused_busy" })).toBe(1);
		clients[0]!.socket.terminate();
		await waitFor(() => rig.edge.connections === 1, { ...soon, what: "room" });
		await client(rig);
	});

	it("a reload changes the limit of connections, the strategy, and how long a drain takes", async () => {
		const nodes = [await node("a"), await node("b")];
		const rig = await edge(nodes, { edgeDrainTimeoutMs: 60_000 });
		rig.edge.reload({ ...rig.edge.config, edgeMaxConnections: 6, selectStrategy: "user_hash", edgeDrainTimeoutMs: 1 });
		const names = await Promise.all(Array.from({ length: 6 }, async () => (await client(rig, "/?user=ann")).nodeName()));
		expect(new Set(names).size).toBe(1);
		expect((await httpRequest(`http://127.0.0.1:${rig.port}/x`)).status).toBe(503);
		expect(await rig.edge.drain()).toBe(6);
	});

	it("limits the time and the length of a request head", async () => {
		const rig = await edge([await node("a")], { headTimeoutMs: 1000, headBytesMax: 1024 });
		const [slow, long] = [raw(rig), raw(rig)];
		slow.socket.write("GET / HTTP/1.1\r\nHost: a\r\n");
		long.socket.write(`GET /?${"x".repeat(1024)} HTTP/1.1\r\nHost: a\r\n\r\n`);
		await waitFor(() => slow.text().startsWith("HTTP/1.1 408"), { ...soon, what: "408" });
		await waitFor(() => long.text().startsWith("HTTP/1.1 431"), { ...soon, what: "431" });
	});

	it("closes a connection on which nothing passes for --edge-idle-timeout, and no other", async () => {
		const rig = await edge([await node("a")], { edgeIdleTimeoutMs: 4000 });
		const [idle, busy] = [await client(rig), await client(rig)];
		let isClosed = false;
		idle.socket.on("close", () => {
			isClosed = true;
		});
		await waitFor(async () => (await busy.nodeName()) === "a" && isClosed, { ...soon, what: "the end of the idle one" });
		expect(await rig.metric("shardcast_edge_idle_closed_total")).toBe(1);
	});

	it("--send-proxy: each connection to a node, health checks included, begins with a PROXY header", async () => {
		const one = await node("a", { proxyProtocol: true });
		const rig = await edge([one], { edgeSendProxy: true });
		expect(await (await client(rig)).nodeName()).toBe("a");
		expect(one.announced).toContain(null);
		expect(one.announced).toContain("0:0:0:0:0:ffff:7f00:1");
	});

	it("TLS: decrypts, and answers clients that do not speak it nothing", async () => {
		const folder = mkdtempSync(join(tmpdir(), "edge-"));
		try {
			const { certFile, keyFile } = makeCertificate(folder, { name: "edge" });
			const one = await node("a");
			const rig = await EdgeRig.start({ edgeNodes: [one.address], tlsCert: certFile, tlsKey: keyFile, headTimeoutMs: 5000 });
			opened.push(rig);
			await rig.nodesUp(1);
			expect(await (await client(rig, "/", "wss")).nodeName()).toBe("a");
			expect((await httpRequest(`https://127.0.0.1:${rig.port}/health`)).status).toBe(200);
			const plain = raw(rig);
			const closed = once(plain.socket, "close");
			plain.socket.on("end", () => plain.socket.end());
			plain.socket.write(upgrade);
			await closed;
			expect(plain.text()).not.toContain("HTTP/1.1 101");
		} finally {
			rmSync(folder, { recursive: true });
		}
	});

	it("a drain lets connections go on, takes no new ones, and ends what is left after --drain-timeout", async () => {
		const one = await node("a");
		const rig = await edge([one], { edgeDrainTimeoutMs: 60_000 });
		const [first, second] = [await client(rig), await client(rig)];
		const drained = rig.edge.drain();
		await expect(client(rig)).rejects.toThrow(/ECONNREFUSED|socket hang up|ECONNRESET/);
		expect(await first.nodeName()).toBe("a");
		first.socket.close();
		second.socket.close();
		expect(await drained).toBe(0);
		const other = await edge([one], { edgeDrainTimeoutMs: 100 });
		const left = await client(other);
		const closed = once(left.socket, "close");
		expect(await other.edge.drain()).toBe(1);
		await closed;
	});

	it("a drain with --drain-delay: it still takes clients for that time, and /ready says that it will stop", async () => {
		const rig = await edge([await node("a")], { drainDelayMs: 3000, edgeDrainTimeoutMs: 60_000 });
		const drained = rig.edge.drain();
		const ready = await httpRequest(`http://127.0.0.1:${rig.port}/ready`);
		expect([ready.status, ready.body]).toEqual([503, expect.stringContaining("the edge is stopping")]);
		const late = await client(rig);
		expect(await late.nodeName()).toBe("a");
		await waitFor(
			() =>
				client(rig).then(
					({ socket }) => {
						// Else the drain waits for this one too.
						socket.close();
						return Promise.reject(new Error("it still listens"));
					},
					() => true,
				),
			{ ...soon, what: "the end of the delay" },
		);
		expect(await late.nodeName()).toBe("a");
		late.socket.close();
		expect(await drained, "clients that were cut off").toBe(0);
	});
});
