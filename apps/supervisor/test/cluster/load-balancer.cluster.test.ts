import { connect, type Socket } from "node:net";
import { type Cluster, freePorts, Haproxy, haproxyForTests, httpRequest, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const upgrade =
	"GET /?channels=news HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
const proxyLine = (address: string) => `PROXY TCP4 ${address} 127.0.0.1 1 2\r\n`;
const never = /(?!)/;
const sockets: Socket[] = [];

/** What comes back until it matches, or the connection ends. */
function ask(port: number, request: string, until: RegExp, localAddress = "127.0.0.1"): Promise<{ text: string; socket: Socket }> {
	return new Promise((resolve, reject) => {
		const socket = connect({ port, host: "127.0.0.1", localAddress });
		sockets.push(socket);
		let text = "";
		const timer = setTimeout(() => reject(new Error(`no ${until} within 30 s after "${text}"`)), 30_000);
		const done = () => {
			clearTimeout(timer);
			resolve({ text, socket });
		};
		socket.on("error", () => {});
		socket.on("close", done);
		socket.on("data", (piece: Buffer) => {
			text += piece.toString("latin1");
			if (until.test(text)) done();
		});
		socket.write(request);
	});
}

/** The status of an attempt to connect from this address of the machine. */
async function status(port: number, localAddress: string, opening = "", ...headers: string[]): Promise<number> {
	const head = `${opening}${upgrade}${headers.map((line) => `${line}\r\n`).join("")}\r\n`;
	const { text } = await ask(port, head, /\r\n\r\n/, localAddress);
	return Number(/^HTTP\/1\.1 (\d+)/.exec(text)?.[1]);
}

const portOf = (cluster: Cluster) => Number(new URL(cluster.httpUrl).port);

afterEach(() => {
	for (const socket of sockets.splice(0)) socket.destroy();
});

for (const mode of ["handoff", "proxy"] as const)
	describe.skipIf(!haproxyForTests())(`behind HAProxy with PROXY headers, ${mode}`, { tags: mode === "proxy" ? ["long"] : [] }, () => {
		let cluster: Cluster;
		let haproxy: Haproxy | null = null;
		/** Routes of HAProxy: to the balancer with version 1 and 2, to the port of shard 1 with both. */
		let ports: { v1: number; v2: number; shardV1: number; shardV2: number };

		beforeAll(async () => {
			const limits = ["--max-connections-per-ip", "3", "--head-timeout", "3s"];
			const flags = ["--lb-mode", mode, "--proxy-protocol", "--trusted-proxies", "127.0.0.1", ...limits];
			cluster = await startCluster({ shards: 2, flags, opening: "PROXY UNKNOWN\r\n" });
			const first = await freePorts(4);
			ports = { v1: first, v2: first + 1, shardV1: first + 2, shardV2: first + 3 };
			haproxy = await Haproxy.start([
				{ port: ports.v1, to: portOf(cluster), server: "send-proxy" },
				{
					port: ports.v2,
					to: portOf(cluster),
					server: "send-proxy-v2 proxy-v2-options crc32c,unique-id",
					lines: ["mode tcp", "unique-id-format %[uuid()]"],
				},
				{ port: ports.shardV1, to: cluster.basePort + 1, server: "send-proxy" },
				{ port: ports.shardV2, to: cluster.basePort + 1, server: "send-proxy-v2 check check-send-proxy inter 100ms" },
			]);
		}, 60_000);

		afterAll(async () => {
			await haproxy?.stop();
			await cluster?.stop();
		});

		const refused = async () => {
			const scrape = new Scrape((await httpRequest(`${cluster.httpUrl}/metrics`, { opening: "PROXY UNKNOWN\r\n" })).body);
			return [
				scrape.sum("shardcast_balancer_connections_total", { outcome: "refused_proxy_header" }),
				scrape.sum("shardcast_connections_refused_total", { reason: "proxy_header" }),
			];
		};

		it("limits per address count the clients' addresses, whichever version and port, over all shards", async () => {
			for (const port of [ports.v1, ports.v2, ports.shardV1]) expect(await status(port, "127.0.0.2")).toBe(101);
			for (const port of Object.values(ports)) expect(await status(port, "127.0.0.2")).toBe(429);
			for (const port of [ports.shardV2, ports.v2, ports.v1]) expect(await status(port, "127.0.0.3")).toBe(101);
			expect(await status(ports.v1, "127.0.0.3")).toBe(429);
		});

		it("messages pass, and the clients' places are given back when they leave", async () => {
			const { socket } = await ask(ports.v1, `${upgrade}\r\n`, /101[\s\S]*\r\n\r\n/, "127.0.0.4");
			const got = new Promise<string>((resolve) => socket.once("data", (piece: Buffer) => resolve(piece.toString("latin1"))));
			const body = JSON.stringify({ channel: "news", data: { n: 1 } });
			const publish = `POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
			expect((await ask(ports.v2, publish, /\}/)).text).toMatch(/^HTTP\/1.1 200/);
			expect(await got).toContain('{"n":1}');
			socket.destroy();
			const routes = [ports.v1, ports.v2, ports.v1];
			const admitted = async () => {
				const statuses = await Promise.all(routes.map((port) => status(port, "127.0.0.4")));
				// An attempt that came too early must not keep the places from the next one.
				for (const open of sockets.splice(0)) open.destroy();
				return statuses.join();
			};
			await waitFor(async () => (await admitted()) === "101,101,101", { deadlineMs: 5000, what: "three connections from 127.0.0.4" });
		});

		it("a connection without a header, with a wrong one, or from an address that is not trusted is refused and counted", async () => {
			const [balancer, shards] = await waitFor(refused, { deadlineMs: 5000, what: "what was refused before" });
			const ports = [portOf(cluster), cluster.basePort];
			const slow = Promise.all(ports.map((port) => ask(port, "PROXY TCP4 1.", never)));
			for (const port of ports) {
				expect(await status(port, "127.0.0.1")).toBe(400);
				expect((await ask(port, "PROXY TCP4 1.2.3.4\r\n", never)).text).toMatch(/^HTTP\/1.1 400/);
				expect((await ask(port, `${proxyLine("1.2.3.4")}${upgrade}\r\n`, never, "127.0.0.9")).text).toMatch(/^HTTP\/1.1 400/);
			}
			for (const { text } of await slow) expect(text).toMatch(/^HTTP\/1.1 408/);
			await waitFor(async () => `${await refused()}` === `${[balancer! + 3, shards! + 4]}`, {
				deadlineMs: 5000,
				what: `${balancer} + 3 and ${shards} + 4 refused`,
			});
		});

		it("X-Forwarded-For counts from a trusted proxy; what others or clients write has no effect", async () => {
			const own = "PROXY UNKNOWN\r\n";
			for (const [index, port] of [portOf(cluster), cluster.basePort].entries()) {
				const client = `203.0.113.${index}`;
				const from = (...lines: string[]) => status(port, "127.0.0.1", own, ...lines.map((line) => `X-Forwarded-For: ${line}`));
				expect(await from(`${client}, 127.0.0.1`)).toBe(101);
				expect(await from(`198.51.100.7, ${client}`)).toBe(101);
				// As HAProxy adds it: a separate line behind the client's.
				expect(await from("198.51.100.8", client)).toBe(101);
				expect(await from(client)).toBe(429);
				const other = proxyLine(`127.0.1.${index}`);
				const claims = (address: string) => status(port, "127.0.0.1", other, `X-Forwarded-For: ${address}`);
				expect([
					await claims("198.51.100.1"),
					await claims("198.51.100.2"),
					await claims("198.51.100.3"),
					await claims("198.51.100.4"),
				]).toEqual([101, 101, 101, 429]);
			}
		});

		it("the console, which answers this machine only, does not take a client behind the proxy for it", async () => {
			const page = async (opening: string, headers = {}) => (await httpRequest(`${cluster.httpUrl}/console`, { opening, headers })).status;
			expect(await page(proxyLine("203.0.113.9"))).toBe(403);
			expect(await page("PROXY UNKNOWN\r\n", { "X-Forwarded-For": "203.0.113.9" })).toBe(403);
			expect(await page("PROXY UNKNOWN\r\n")).toBe(200);
		});
	});
