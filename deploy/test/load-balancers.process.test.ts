import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { createServer, type Server } from "@shardcast/server/library";
import { silentLog } from "@shardcast/telemetry";
import { freePorts, Haproxy, haproxyForTests, httpRequest, makeCertificate, Nginx, nginxForTests, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { deploy } from "./metric-names.ts";

// The files that docs/how-to/behind-a-load-balancer.md shows, in the real programs, with two real nodes: only addresses and certificates are others.

const folder = mkdtempSync(join(tmpdir(), "load-balancers-"));
const opened: { stop(): unknown }[] = [];
const soon = { deadlineMs: 15_000 };

beforeAll(() => {
	const { certFile, keyFile } = makeCertificate(folder, { name: "clients" });
	writeFileSync(join(folder, "both.pem"), readFileSync(certFile, "utf8") + readFileSync(keyFile, "utf8"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(async () => {
	for (const each of opened.splice(0).reverse()) await each.stop();
});

/** A real node: one shard in this process. */
interface Node {
	readonly server: Server;
	/** Addresses of clients, as it was told them. */
	readonly addresses: string[];
}

async function startNode(proxyProtocol: boolean, drainDelayMs = 0): Promise<Node> {
	const options = { addr: "127.0.0.1:0", trustedProxies: ["127.0.0.1"], proxyProtocol, drainDelayMs };
	const server = createServer(options, { log: silentLog(), statusLine: false });
	const addresses: string[] = [];
	server.on("open", ({ address }) => addresses.push(address));
	await server.run();
	opened.push({ stop: () => server.shutdown(1) });
	return { server, addresses };
}

/** The text of the file with this test's ports and certificate. */
function recipe(file: string, port: number, nodes: readonly Node[]): string {
	const text = readFileSync(join(deploy, file), "utf8")
		.replace("bind :443 ssl crt /etc/haproxy/certs/", `bind 127.0.0.1:${port} ssl crt ${join(folder, "both.pem")}`)
		.replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
		.replace("/etc/nginx/certs/fullchain.pem", join(folder, "clients.crt"))
		.replace("/etc/nginx/certs/privkey.pem", join(folder, "clients.key"))
		.replace("10.0.0.11:3005", `127.0.0.1:${nodes[0]!.server.port}`)
		.replace("10.0.0.12:3005", `127.0.0.1:${nodes[1]!.server.port}`);
	expect(text).not.toMatch(/:443\b|\/etc\/(haproxy|nginx)\/certs|10\.0\.0\./);
	return text;
}

async function start(
	file: string,
	proxyProtocol: boolean,
	drainDelayMs = 0,
): Promise<{ readonly nodes: readonly [Node, Node]; readonly port: number }> {
	const nodes = [await startNode(proxyProtocol, drainDelayMs), await startNode(proxyProtocol)] as const;
	const port = await freePorts();
	const config = recipe(file, port, nodes);
	opened.push(await (file.startsWith("haproxy") ? Haproxy.run(config, [port]) : Nginx.run(config, [port])));
	return { nodes, port };
}

interface Client {
	readonly socket: WebSocket;
	readonly messages: string[];
	/** The node that it is connected to. */
	readonly node: Node;
}

async function connect(port: number, nodes: readonly Node[], localAddress: string): Promise<Client> {
	const counts = nodes.map(({ addresses }) => addresses.length);
	const socket = new WebSocket(`wss://127.0.0.1:${port}`, { localAddress, rejectUnauthorized: false });
	opened.push({ stop: () => socket.terminate() });
	const messages: string[] = [];
	socket.on("message", (data) => messages.push(String(data)));
	socket.on("error", () => {});
	await Promise.race([
		once(socket, "open"),
		once(socket, "close").then(() => {
			throw new Error("refused");
		}),
	]);
	const node = await waitFor(() => nodes.find(({ addresses }, index) => addresses.length > counts[index]!), { ...soon, what: "a client" });
	expect(node.addresses.at(-1)).toBe(localAddress);
	return { socket, messages, node };
}

/** An address of this machine. */
const local = (host: number): string => `127.0.${host >> 8}.${host & 255}`;

/** As a client does: until it works. */
const reconnect = (port: number, nodes: readonly Node[], localAddress: string): Promise<Client> =>
	waitFor(() => connect(port, nodes, localAddress), { ...soon, what: "a connection" });

/** Whether a process has the connection with these ports open at its first one. After that, the kernel waits for the other side's end on its own. */
function isHeld(port: number, clientPort: number): boolean {
	const hex = (number: number) => `:${number.toString(16).toUpperCase().padStart(4, "0")}`;
	return readFileSync("/proc/net/tcp", "utf8")
		.split("\n")
		.map((line) => line.trim().split(/\s+/))
		.some((fields) => fields[1]?.endsWith(hex(port)) === true && fields[2]?.endsWith(hex(clientPort)) === true && fields[9] !== "0");
}

const installed = { haproxy: haproxyForTests(), nginx: nginxForTests() };

describe.each([
	["haproxy/leastconn.cfg", false],
	["haproxy/source.cfg", true],
	["nginx/http.conf", false],
	["nginx/stream.conf", true],
] as const)("%s", { tags: ["long"] }, (file, proxyProtocol) => {
	const [program = "haproxy"] = file.split("/") as ["haproxy" | "nginx"];
	const bySource = file === "haproxy/source.cfg" || file === "nginx/stream.conf";

	it.skipIf(!installed[program])("TLS, the clients' real addresses, and the choice of a node", async () => {
		const { nodes, port } = await start(file, proxyProtocol);
		if (bySource) {
			const home = (await connect(port, nodes, "127.0.0.9")).node;
			for (let count = 0; count < 4; count++) expect((await connect(port, nodes, "127.0.0.9")).node).toBe(home);
			for (let host = 10; new Set(nodes.filter(({ addresses }) => addresses.length > 0)).size < 2; host++) {
				expect(host).toBeLessThan(60);
				await connect(port, nodes, local(host));
			}
		} else {
			for (let host = 2; host < 6; host++) await connect(port, nodes, local(host));
			expect(nodes.map(({ addresses }) => addresses.length)).toEqual([2, 2]);
		}
		const body = JSON.stringify({ data: "over HTTP" });
		expect((await httpRequest(`https://127.0.0.1:${port}/api/publish`, { method: "POST", body })).status).toBe(200);
	});

	it.skipIf(!installed[program])("a node that stops gets no new clients, and its clients find the other one", async () => {
		const { nodes, port } = await start(file, proxyProtocol, program === "haproxy" ? 6000 : 0);
		let host = 2;
		const clients: Client[] = [];
		while (new Set(clients.map(({ node }) => node)).size < 2) clients.push(await connect(port, nodes, local(host++)));
		const [leaving, staying] = nodes;
		const mine = clients.find(({ node }) => node === leaving)!;
		const other = clients.find(({ node }) => node === staying)!;
		const closed = once(mine.socket, "close");
		const stopped = leaving.server.shutdown();
		if (program === "haproxy") {
			// Within the delay of the drain, while the node still accepts.
			let inARow = 0;
			await waitFor(
				async () => {
					inARow = (await connect(port, nodes, local(host++))).node === staying ? inARow + 1 : 0;
					return inARow >= 6;
				},
				{ ...soon, everyMs: 50, what: "new clients on the other node" },
			);
			expect(mine.socket.readyState).toBe(WebSocket.OPEN);
		}
		expect((await closed)[0]).toBe(1001);
		await stopped;
		const again = await reconnect(port, nodes, "127.0.0.2");
		expect(again.node).toBe(staying);
		again.socket.send("back");
		await waitFor(() => other.messages.includes("back"), { ...soon, what: "its message" });
	});

	it.skipIf(!installed[program])("a client that does not close after its node has, and sends nothing, loses its place soon", async () => {
		const { nodes, port } = await start(file, proxyProtocol);
		const options: ConnectionOptions & { readonly allowHalfOpen: boolean } = { port, rejectUnauthorized: false, allowHalfOpen: true };
		const socket = connectTls({ ...options, host: "127.0.0.1" });
		opened.push({ stop: () => socket.destroy() });
		let text = "";
		socket.on("data", (piece: Buffer) => {
			text += piece.toString("latin1");
		});
		socket.on("error", () => {});
		const key = "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==";
		socket.write(`GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n${key}\r\n\r\n`);
		await waitFor(() => text.includes(" 101 "), { ...soon, what: "the upgrade" });
		const clientPort = socket.localPort!;
		expect(isHeld(port, clientPort)).toBe(true);
		await nodes.find(({ addresses }) => addresses.length > 0)!.server.shutdown(1);
		await waitFor(() => !isHeld(port, clientPort), { ...soon, what: "the end of the connection" });
	});
});
