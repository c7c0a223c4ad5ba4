import { once } from "node:events";
import { Agent, request } from "node:http";
import { httpRequest, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { client, edge, node, opened, raw, soon, stopAll, upgrade } from "./support/edge-test.ts";

afterEach(stopAll);

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`;

describe("an edge whose client", () => {
	it("closes its side together with its request: it gets the answer, and then the end", async () => {
		const rig = await edge([await node("a")]);
		const { socket, text } = raw(rig);
		const ended = once(socket, "end");
		socket.end(get("/x"));
		await ended;
		expect(text()).toContain('"node":"a"');
	});

	it("closes its side together with the request of a stream: the stream ends at the node", async () => {
		const one = await node("a");
		const rig = await edge([one]);
		const { socket, text } = raw(rig);
		socket.end(get("/stream"));
		await waitFor(() => text().includes("data: one"), { ...soon, what: "the stream" });
		await waitFor(() => rig.edge.connections === 0, { ...soon, what: "the end of the stream" });
	});

	it("closes its side within a body: the connection ends", async () => {
		const rig = await edge([await node("a")]);
		const { socket } = raw(rig);
		const ended = once(socket, "end");
		socket.end("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc");
		await ended;
	});

	it("keeps its side open after the node has closed: its place is free again soon", async () => {
		const one = await node("a");
		const rig = await edge([one], { edgeIdleTimeoutMs: 0 });
		const { socket, text } = raw(rig);
		socket.write(upgrade);
		await waitFor(() => text().includes("101"), { ...soon, what: "the upgrade" });
		const [server] = one.sockets;
		server!.terminate();
		await waitFor(() => rig.edge.connections === 0, { ...soon, what: "room" });
	});

	it("sends many short requests: they do not fill a node", async () => {
		const one = await node("a");
		one.health = { maxConnections: 5 };
		const rig = await edge([one], { edgeCheckIntervalMs: 60_000 });
		for (let count = 0; count < 12; count++) expect((await httpRequest(`http://127.0.0.1:${rig.port}/x`)).status).toBe(200);
		await client(rig);
	});
});

describe("an edge whose node", () => {
	it("hangs: WebSockets that it has not answered go to another one", async () => {
		const nodes = [await node("a"), await node("b")];
		const rig = await edge(nodes, { edgeCheckTimeoutMs: 1000 });
		nodes[0]!.isHung = true;
		const clients = await Promise.all(Array.from({ length: 4 }, () => client(rig)));
		expect(await Promise.all(clients.map((each) => each.nodeName()))).toEqual(["b", "b", "b", "b"]);
		expect(await rig.metric("shardcast_edge_taken_back_total")).toBeGreaterThan(0);
	});
});

describe("--send-proxy", () => {
	it("names the connection's own address, since a proxy in front may send requests of several clients through one connection", async () => {
		const one = await node("a", { proxyProtocol: true });
		const rig = await edge([one], { edgeSendProxy: true, trustedProxies: ["127.0.0.1"] });
		const agent = new Agent({ keepAlive: true, maxSockets: 1 });
		opened.push({ stop: () => agent.destroy() });
		for (const address of ["203.0.113.1", "203.0.113.2"]) {
			const asked = request({ agent, host: "127.0.0.1", port: rig.port, path: "/x", headers: { "X-Forwarded-For": address } });
			const answered = once(asked, "response");
			asked.end();
			const [response] = await answered;
			response.resume();
			await once(response, "end");
		}
		expect(one.announced.filter((address) => address !== null)).toEqual(["0:0:0:0:0:ffff:7f00:1"]);
		expect(one.requests.map((headers) => headers["x-forwarded-for"])).toEqual(["203.0.113.1, 127.0.0.1", "203.0.113.2, 127.0.0.1"]);
	});
});
