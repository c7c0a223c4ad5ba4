import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Config } from "@shardcast/config";
import { createServer } from "@shardcast/server/library";
import { silentLog } from "@shardcast/telemetry";
import { httpRequest, makeCertificate, type TestCertificate, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { EdgeRig } from "./support/edge-rig.ts";
import { node, opened, soon, stopAll } from "./support/edge-test.ts";

const folder = mkdtempSync(join(tmpdir(), "edge-tls-"));
let ofNode: TestCertificate;
let other: TestCertificate;
beforeAll(() => {
	ofNode = makeCertificate(folder, { name: "node", serverNames: ["nodes.example.com"] });
	other = makeCertificate(folder, { name: "other" });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(stopAll);

/** A real node: one shard in this process. Returns its port and the addresses of its clients. */
async function realNode(options: Parameters<typeof createServer>[0] = {}) {
	const server = createServer({ addr: "127.0.0.1:0", trustedProxies: ["127.0.0.1"], ...options }, { log: silentLog(), statusLine: false });
	const addresses: string[] = [];
	server.on("open", ({ address }) => addresses.push(address));
	await server.run();
	opened.push({ stop: () => server.shutdown(1) });
	return { port: server.port, addresses };
}

async function start(port: number, config: Partial<Config> = {}): Promise<EdgeRig> {
	const rig = await EdgeRig.start({ edgeNodes: [`127.0.0.1:${port}`], ...config });
	opened.push(rig);
	return rig;
}

/** Why the only node gets no clients. */
const reason = (rig: EdgeRig) =>
	waitFor(
		async () => {
			const { body } = await httpRequest(`http://127.0.0.1:${rig.port}/health`);
			const [one] = (JSON.parse(body) as { nodes: readonly { reason?: string }[] }).nodes;
			return one!.reason === "has not answered yet" ? null : one!.reason;
		},
		{ ...soon, what: "a reason" },
	);

describe("an edge whose nodes have TLS", () => {
	it("passes WebSockets and requests on, also from clients with TLS, and the node knows the clients' addresses", async () => {
		const { port, addresses } = await realNode({ tlsCert: ofNode.certFile, tlsKey: ofNode.keyFile });
		const rig = await start(port, {
			...{ edgeNodesTls: true, edgeNodesTlsCa: ofNode.certFile },
			...{ tlsCert: other.certFile, tlsKey: other.keyFile },
		});
		await rig.nodesUp(1);
		const messages: string[] = [];
		const sockets = await Promise.all(
			["127.0.0.5", "127.0.0.6"].map(async (localAddress) => {
				const socket = new WebSocket(`wss://127.0.0.1:${rig.port}`, { localAddress, rejectUnauthorized: false });
				opened.push({ stop: () => socket.terminate() });
				socket.on("message", (data: Buffer) => messages.push(`${data.length}`));
				await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
				return socket;
			}),
		);
		await waitFor(() => addresses.length === 2, { ...soon, what: "both clients at the node" });
		expect(addresses.toSorted()).toEqual(["127.0.0.5", "127.0.0.6"]);
		sockets[0]!.send("a".repeat(50_000));
		await waitFor(() => messages.join() === "50000", { ...soon, what: "the message" });
		const body = JSON.stringify({ data: "over HTTP" });
		expect((await httpRequest(`https://127.0.0.1:${rig.port}/api/publish`, { method: "POST", body })).status).toBe(200);
		await waitFor(() => messages.length === 3, { ...soon, what: "the publication at both" });
		for (const socket of sockets) socket.close();
		await waitFor(() => rig.edge.connections === 0, { ...soon, what: "the end of all connections" });
	});

	it("checks their certificates: against the CA, and the name", async () => {
		const { port } = await realNode({ tlsCert: ofNode.certFile, tlsKey: ofNode.keyFile });
		const tls = { edgeNodesTls: true, edgeNodesTlsCa: ofNode.certFile };
		const unknown = "has a certificate that cannot be trusted: DEPTH_ZERO_SELF_SIGNED_CERT; see --nodes-tls-ca and --nodes-tls-name";
		expect(await reason(await start(port, { ...tls, edgeNodesTlsCa: other.certFile }))).toBe(unknown);
		const wrongName = "has a certificate that cannot be trusted: ERR_TLS_CERT_ALTNAME_INVALID; see --nodes-tls-ca and --nodes-tls-name";
		expect(await reason(await start(port, { ...tls, edgeNodesTlsName: "other.example.com" }))).toBe(wrongName);
		await (await start(port, { ...tls, edgeNodesTlsName: "nodes.example.com" })).nodesUp(1);
		await (await start(port, { edgeNodesTls: true, edgeNodesTlsVerify: false })).nodesUp(1);
	});
});

describe("an edge says which option is wrong when its node", () => {
	it.each([
		["has TLS", () => ({ tlsCert: ofNode.certFile, tlsKey: ofNode.keyFile }), {}, "wants TLS: give the edge --nodes-tls"],
		[
			"wants PROXY headers",
			() => ({ proxyProtocol: true }),
			{},
			"wants a PROXY header: give the edge --send-proxy, and the node this edge in --trusted-proxies",
		],
		[
			"has no TLS",
			() => ({}),
			{ edgeNodesTls: true },
			expect.stringMatching(/^cannot be reached with TLS: (ECONNRESET|EPROTO|ERR_SSL_\w+); does it have a certificate \(--tls-cert\)\?$/),
		],
	] as const)("%s", async (_, options, config, line) => {
		const { port } = await realNode(options());
		expect(await reason(await start(port, config))).toEqual(line);
	});

	it("wants no PROXY headers", async () => {
		const { port } = await node("a");
		const line = "answered 400 without a report of its health; is it a node? Perhaps it runs without --proxy-protocol";
		expect(await reason(await start(port, { edgeSendProxy: true }))).toBe(line);
	});

	it("is an edge", async () => {
		const inner = await start((await node("a")).port);
		await inner.nodesUp(1);
		expect(await reason(await start(inner.port))).toBe("is an edge, not a node: name the nodes themselves");
	});
});
