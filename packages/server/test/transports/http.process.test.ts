import { request } from "node:http";
import { connect, type Socket } from "node:net";
import { freePorts, hasIpv6, httpRequest, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { startShards, type TestShards, type TestShardsOptions } from "../harness.ts";

let running: TestShards | undefined;
const start = async (options: TestShardsOptions = {}): Promise<TestShards> => {
	running = await startShards(1, options);
	return running;
};
afterEach(async () => {
	await running?.stop();
	running = undefined;
});

const post = (cluster: TestShards, body: string | Uint8Array, headers: Record<string, string> = {}, query = "") =>
	httpRequest(`${cluster.shards[0].httpUrl}/api/publish${query}`, { method: "POST", body, headers });
const errorOf = (body: string) => (JSON.parse(body) as { error: { code: string; message: string } }).error;

/** A request written byte by byte, and all that comes back. */
function raw(
	cluster: TestShards,
	text: string,
	localAddress?: string,
): { readonly socket: Socket; readonly received: () => string; readonly ended: Promise<void> } {
	const { port, hostname } = new URL(cluster.shards[0].httpUrl);
	const socket = connect({ port: Number(port), host: hostname, ...(localAddress === undefined ? {} : { localAddress }) });
	let received = "";
	socket.setEncoding("latin1").on("data", (data: string) => {
		received += data;
	});
	socket.on("error", () => {}); // told by `ended`
	socket.write(text);
	return { socket, received: () => received, ended: new Promise((resolve) => socket.once("close", () => resolve())) };
}

describe("POST /api/publish", () => {
	it("200: a string is published as that text, other data as it was written, octets as a binary frame", async () => {
		const cluster = await start();
		const client = await cluster.client();
		for (const body of ['{"data":"plain"}', '{"channel":"x","data":{"b":[1,2]}}', '{"data":null}']) {
			const answer = await post(cluster, body);
			expect(answer.status).toBe(200);
			expect(JSON.parse(answer.body)).toEqual({ result: {} });
		}
		const octets = { "content-type": "application/octet-stream" };
		expect((await post(cluster, Buffer.from([1, 0, 2]), octets, "?channel=x")).status).toBe(200);
		expect((await post(cluster, Buffer.alloc(0), octets)).status).toBe(200);
		const messages = await client.waitForMessages(5);
		expect(client.texts().slice(0, 3)).toEqual(["plain", '{"b":[1,2]}', "null"]);
		expect(messages.map(({ binary }) => binary)).toEqual([false, false, false, true, true]);
		expect([...messages[3].bytes]).toEqual([1, 0, 2]);
		expect(messages[4].bytes).toHaveLength(0);
	});

	it("200: data is published byte for byte, whatever its nesting and numbers; a page can send it as text/plain", async () => {
		const cluster = await start();
		const client = await cluster.client();
		const plain = { "content-type": "text/plain" };
		const all = [`${"[".repeat(15_000)}${"]".repeat(15_000)}`, '{"id":9007199254740993, "x":1e400}'];
		for (const data of all) expect((await post(cluster, `{"data":${data}}`, plain)).status).toBe(200);
		await client.waitForMessages(2);
		expect(client.texts()).toEqual(all);
	});

	it("keeps the connection, so that one publisher needs one connection", async () => {
		const cluster = await start();
		const client = await cluster.client();
		const one = (data: number) => {
			const body = `{"data":${data}}`;
			return `POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		};
		const publisher = raw(cluster, one(1) + one(2));
		await client.waitForMessages(2);
		publisher.socket.write(`POST /api/publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"dat\r\n`);
		publisher.socket.write(`4\r\na":3\r\n1\r\n}\r\n0\r\n\r\n`);
		await client.waitForMessages(3);
		expect(client.texts()).toEqual(["1", "2", "3"]);
		await waitFor(() => publisher.received().match(/HTTP\/1.1 200 OK/g)?.length === 3, { deadlineMs: 2000, what: "3 answers" });
		publisher.socket.destroy();
	});

	it("200: accepts batches, as an array and as lines, and delivers each message byte for byte and in order", async () => {
		const cluster = await start();
		const client = await cluster.client();
		const array = await post(cluster, '[{"data":"one"},{"channel":"x","data":{"id":9007199254740993, "a":[ ]}}]');
		expect(array.status).toBe(200);
		expect(JSON.parse(array.body)).toEqual({ result: { published: 2, failed: 0, results: [{}, {}] } });
		const lines = Array.from({ length: 500 }, (_, index) => `{"data":${index}}`).join("\n");
		const ndjson = await post(cluster, lines, { "content-type": "application/x-ndjson" });
		expect(JSON.parse(ndjson.body).result.published).toBe(500);
		await client.waitForMessages(502);
		expect(client.texts()).toEqual([
			"one",
			'{"id":9007199254740993, "a":[ ]}',
			...Array.from({ length: 500 }, (_, index) => String(index)),
		]);
		expect(cluster.shards[0].row.get("messagesIn")).toBe(502);
	});

	it("400: explains the error in JSON, and serves the next request on the connection", async () => {
		const cluster = await start();
		const bad = await post(cluster, '{"chanel":"a","data":1}');
		expect(bad.status).toBe(400);
		expect(bad.headers["content-type"]).toMatch(/application\/json/);
		expect(errorOf(bad.body).message).toContain("chanel");
		for (const body of ["", "{", "[]", '{"channel":"","data":1}']) expect((await post(cluster, body)).status).toBe(400);
	});

	it("401: without the key nothing is published", async () => {
		const cluster = await start({ config: { apiKey: "a-secret-key", requireAuth: false } });
		const client = await cluster.client();
		expect((await post(cluster, '{"data":"no key"}')).status).toBe(401);
		expect((await post(cluster, "x".repeat(100_000), { "x-api-key": "wrong" })).status).toBe(401);
		expect((await post(cluster, '{"data":"header"}', { "x-api-key": "a-secret-key" })).status).toBe(200);
		expect((await post(cluster, '{"data":"bearer"}', { authorization: "Bearer a-secret-key" })).status).toBe(200);
		await client.waitForMessages(2);
		expect(client.texts()).toEqual(["header", "bearer"]);
	});

	it("204: OPTIONS for a page whose origin is allowed; 403 for others, which may not publish either", async () => {
		const cluster = await start({ config: { allowedOrigins: ["https://ours.example"] } });
		const one = (method: string, origin: string, body = "") =>
			`${method} /api/publish HTTP/1.1\r\nHost: a\r\nOrigin: ${origin}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
		const page = raw(cluster, one("OPTIONS", "https://ours.example"));
		await waitFor(() => page.received().endsWith("\r\n\r\n"), { deadlineMs: 2000, what: "the first answer" });
		expect(page.received()).toMatch(/^HTTP\/1.1 204 No Content\r\n/);
		expect(page.received()).toMatch(/\r\nAccess-Control-Allow-Origin: https:\/\/ours.example\r\n/);
		expect(page.received()).not.toMatch(/^Content-/m);
		page.socket.write(one("POST", "https://ours.example", '{"data":1}'));
		await waitFor(() => page.received().includes('{"result":{}}'), { deadlineMs: 2000, what: "the answer on the same connection" });
		page.socket.destroy();
		for (const method of ["OPTIONS", "POST"]) {
			const other = raw(cluster, one(method, "https://theirs.example", '{"data":1}'));
			await other.ended;
			expect(other.received()).toMatch(/^HTTP\/1.1 403 /);
			expect(other.received()).not.toMatch(/Access-Control/);
		}
		expect(cluster.shards[0].row.get("messagesIn")).toBe(1);
	});

	it("413: a message that is too long, a Content-Length that is too long, a body that turns out too long", async () => {
		const cluster = await start({ config: { maxPayloadBytes: 1000 } });
		expect((await post(cluster, `{"data":"${"x".repeat(1000)}"}`)).status).toBe(200);
		const message = await post(cluster, `{"data":"${"x".repeat(1001)}"}`);
		expect(message.status).toBe(413);
		expect(errorOf(message.body).code).toBe("too_large");
		expect((await post(cluster, Buffer.alloc(1001), { "content-type": "application/octet-stream" })).status).toBe(413);
		expect((await post(cluster, Buffer.alloc(500_000, 0x20))).status).toBe(413);
		// Announced far too long: answered though the body never comes.
		const announced = raw(cluster, "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
		for (let part = 0; part < 40; part++) announced.socket.write(Buffer.alloc(65_536));
		await announced.ended;
		expect(announced.received()).toMatch(/^HTTP\/1.1 413 /);
		const endless = raw(cluster, "POST /api/publish HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
		for (let part = 0; part < 40; part++) endless.socket.write(`10000\r\n${" ".repeat(65_536)}\r\n`);
		await endless.ended;
		expect(endless.received()).toMatch(/^HTTP\/1.1 413 /);
		expect(cluster.shards[0].row.get("messagesIn")).toBe(1);
	});

	it("429: above the message rate, and while the bus is full, with Retry-After", async () => {
		const limited = await start({ config: { messageRate: 5 } });
		const statuses: number[] = [];
		// On a busy machine, one more may be allowed by the time that it comes.
		while (!statuses.includes(429) && statuses.length < 500) statuses.push((await post(limited, '{"data":1}')).status);
		expect(statuses.slice(0, 5)).toEqual([200, 200, 200, 200, 200]);
		expect(statuses).toContain(429);
		expect(limited.shards[0].row.get("rateLimited")).toBe(statuses.filter((status) => status === 429).length);
		await limited.stop();

		// A member that does not read: the ring fills up, nothing is overwritten and nothing is lost.
		const full = await start({ members: 2, capacityBytes: 1 << 20, config: { maxPayloadBytes: 100_000 } });
		const stuck = full.bus.link(1);
		const client = await full.client();
		const big = Buffer.alloc(90_000, 0x61);
		const octets = { "content-type": "application/octet-stream" };
		let taken = 0;
		let answer = await post(full, big, octets);
		for (; answer.status === 200; answer = await post(full, big, octets)) taken++;
		expect(answer.status).toBe(429);
		expect(answer.headers["retry-after"]).toBe("1");
		expect(errorOf(answer.body).message).toMatch(/full/);
		expect(taken).toBeGreaterThan(5);
		stuck.read(1000, () => {});
		expect((await post(full, big, octets)).status).toBe(200);
		expect(await client.waitForMessages(taken + 1)).toHaveLength(taken + 1);
	});

	it("408: 560 stalled bodies block no publisher: the slowest are dropped, first those of an address beyond its share", async () => {
		const cluster = await start();
		const { row } = cluster.shards[0];
		const half = "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
		const addresses = ["127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5", "127.0.0.6"];
		const stalled = Array.from({ length: 560 }, (_, index) => raw(cluster, half, addresses[index % addresses.length]));
		await waitFor(() => row.get("httpRequests") === 560, { deadlineMs: 10_000, what: "560 bodies under way" });
		await waitFor(async () => (await post(cluster, '{"data":1}')).status === 200, { deadlineMs: 1000, what: "the first publisher" });
		for (let count = 0; count < 20; count++) expect((await post(cluster, '{"data":1}')).status).toBe(200);
		expect(row.get("bodiesEvicted") + row.get("bodiesRefused")).toBeGreaterThanOrEqual(560 - 256);
		// None is evicted before it is old enough, and 560 may have come faster than that. A body in one piece needs no slot.
		const another = (): boolean => {
			stalled.push(raw(cluster, half, "127.0.0.7"));
			return row.get("bodiesEvicted") > 0;
		};
		await waitFor(another, { deadlineMs: 5000, everyMs: 50, what: "an evicted body" });
		await waitFor(() => stalled.some(({ received }) => /^HTTP\/1.1 408 [\s\S]*"code":"too_slow"/.test(received())), {
			deadlineMs: 2000,
			what: "an answer to one that was evicted",
		});
		for (const { socket } of stalled) socket.destroy();
	});

	it("408 or 503: one body more than one address may have at once; 503 while it drains", async () => {
		const cluster = await start();
		const { row } = cluster.shards[0];
		const half = "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{";
		const slow = Array.from({ length: 129 }, () => raw(cluster, half));
		await waitFor(() => row.get("httpRequests") === 129, { deadlineMs: 5000, what: "129 bodies under way" });
		// Which one depends on how old the others are by then.
		expect(row.get("bodiesRefused") + row.get("bodiesEvicted")).toBe(1);
		for (const { socket } of slow) socket.destroy();
		await waitFor(async () => (await post(cluster, '{"data":1}')).status === 200, { deadlineMs: 5000, what: "room again" });

		const { port } = new URL(cluster.shards[0].httpUrl);
		const kept = raw(cluster, "");
		await new Promise((resolve) => kept.socket.once("connect", resolve));
		await waitFor(() => cluster.shards[0].row.connections === 1, { deadlineMs: 2000, what: "the connection" });
		const drained = cluster.shards[0].shard.drain(2000);
		kept.socket.write('POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{"data":1}');
		await kept.ended;
		expect(kept.received()).toMatch(/^HTTP\/1.1 503 [\s\S]*connection: close/i);
		expect(await drained).toBe(0);
		await expect(httpRequest(`http://127.0.0.1:${port}/health`)).rejects.toThrow(/ECONNREFUSED/);
	});

	it("survives clients that go away in the middle of a body", async () => {
		const cluster = await start();
		for (let count = 0; count < 50; count++) {
			const broken = raw(cluster, "POST /api/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{");
			await new Promise((resolve) => broken.socket.once("connect", resolve));
			broken.socket.resetAndDestroy();
		}
		await waitFor(() => cluster.shards[0].row.connections === 0, { deadlineMs: 5000, what: "all gone" });
		expect((await post(cluster, '{"data":1}')).status).toBe(200);
	});
});

describe("GET /api/console/events", () => {
	const get = (query = "", headers = "") => `GET /api/console/events${query} HTTP/1.1\r\nHost: localhost\r\n${headers}\r\n`;
	const events = (received: string) =>
		[...received.matchAll(/data: (\{.*\})\n\n/g)].map(([, data]) => JSON.parse(data) as { type: string; text?: string });

	it("sends the console's feed as server-sent events, with the messages of ?tail=, until the shard drains", {
		tags: ["long"],
	}, async () => {
		const cluster = await start();
		const reader = raw(cluster, get("?tail=news"));
		await waitFor(() => events(reader.received()).some(({ type }) => type === "snapshot"), { deadlineMs: 5000, what: "a snapshot" });
		expect(reader.received()).toMatch(/^HTTP\/1.1 200 OK\r\n[\s\S]*Content-Type: text\/event-stream\r\n/);
		await post(cluster, '[{"channel":"news","data":"seen"},{"channel":"other","data":"not seen"}]');
		await waitFor(() => events(reader.received()).some(({ type }) => type === "tail"), { deadlineMs: 5000, what: "a message" });
		expect(events(reader.received()).filter(({ type }) => type === "tail")).toMatchObject([{ channel: "news", text: "seen" }]);
		await cluster.shards[0].shard.drain(2000);
		await reader.ended;
		expect(reader.received()).toMatch(/0\r\n\r\n$/);
	});

	it("has the rules of the console's WebSocket: its token, its own pages, a limited number", async () => {
		const cluster = await start({ config: { consoleToken: "look-but-not-touch" } });
		const status = async (query: string, headers: string) => {
			const reader = raw(cluster, get(query, headers));
			await waitFor(() => reader.received() !== "", { deadlineMs: 5000, what: "an answer" });
			reader.socket.destroy();
			return Number(reader.received().slice(9, 12));
		};
		const bearer = "Authorization: Bearer look-but-not-touch\r\n";
		expect(await status("", "")).toBe(403);
		expect(await status("?token=wrong", "")).toBe(403);
		expect(await status("?token=look-but-not-touch", "")).toBe(200);
		expect(await status("", bearer)).toBe(200);
		expect(await status("", `${bearer}Origin: https://evil.example\r\n`)).toBe(403);
		expect(await status("", `${bearer}Sec-Fetch-Site: cross-site\r\n`), "a page elsewhere that may not read the answer").toBe(403);
		await waitFor(() => cluster.shards[0].row.connections === 0, { deadlineMs: 5000, what: "all gone" });
		const many = Array.from({ length: 17 }, () => raw(cluster, get("", bearer)));
		await waitFor(() => many.every(({ received }) => received() !== ""), { deadlineMs: 5000, what: "17 answers" });
		expect(many.map(({ received }) => received().slice(9, 12)).sort()).toEqual([...Array(16).fill("200"), "503"]);
		for (const { socket } of many) socket.destroy();
	});
});

describe("other HTTP requests", () => {
	const get = (cluster: TestShards, path: string, method = "GET", headers: Record<string, string> = {}) =>
		httpRequest(cluster.shards[0].httpUrl + path, { method, headers });

	it("GET /health and /ready answer as the balancer does, and close", async () => {
		const cluster = await start();
		await cluster.client();
		const health = await get(cluster, "/health");
		expect(health.status).toBe(200);
		const report = JSON.parse(health.body);
		expect(report.status).toBe("healthy");
		expect(report.shards).toMatchObject([{ id: 0, status: "healthy", max: 1000 }]);
		expect(report.shards[0].connections).toBeGreaterThanOrEqual(1);
		expect(JSON.parse((await get(cluster, "/ready")).body)).toEqual({ ready: true });
	});

	it("HEAD gets the head of the response and no body", async () => {
		const cluster = await start();
		const head = await new Promise<{ status: number; length: string | undefined; bytes: number }>((resolve, reject) => {
			const outgoing = request(`${cluster.shards[0].httpUrl}/health`, { method: "HEAD", agent: false }, (incoming) => {
				let bytes = 0;
				incoming.on("data", (data: Buffer) => {
					bytes += data.length;
				});
				incoming.on("end", () => resolve({ status: incoming.statusCode!, length: incoming.headers["content-length"], bytes }));
			});
			outgoing.on("error", reject).end();
		});
		expect(head).toMatchObject({ status: 200, bytes: 0 });
		expect(Number(head.length)).toBeGreaterThan(100);
	});

	it.each([
		["GET", "/", 426],
		["POST", "/", 426],
		["GET", "/ws", 426],
		["GET", "/nowhere", 404],
		["POST", "/health", 405],
		["GET", "/api/publish", 405],
		["PUT", "/api/publish", 405],
	])("%s %s → %i in JSON", async (method, path, status) => {
		const cluster = await start();
		const answer = await get(cluster, path, method);
		expect(answer.status).toBe(status);
		expect(errorOf(answer.body).message).not.toBe("");
	});

	it.each(["/health", "/ready", "/", "/nowhere", "/api/publish"])(
		"GET %s ends a connection that its client would keep: the next request could be for another process",
		async (path) => {
			const cluster = await start();
			const kept = raw(cluster, `GET ${path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n`);
			await kept.ended;
			expect(kept.received()).toMatch(/\r\nconnection: close\r\n/i);
		},
	);

	it("listens on every interface, IPv4 and IPv6, when no host is given", async () => {
		const port = await freePorts();
		await start({ parts: { address: { port } } });
		const hosts = ["127.0.0.1", "127.0.0.2", ...(hasIpv6 ? ["[::1]"] : [])];
		for (const host of hosts) expect((await httpRequest(`http://${host}:${port}/ready`)).status).toBe(200);
	});

	it("accepts heads of the same length as the balancer", async () => {
		const cluster = await start();
		expect((await get(cluster, "/health", "GET", { "x-long": "x".repeat(16_000) })).status).toBe(200);
	});

	it("counts no closed connection", async () => {
		const cluster = await start();
		for (let count = 0; count < 20; count++) await get(cluster, "/health");
		await waitFor(() => cluster.shards[0].row.connections === 0, { deadlineMs: 2000, what: "no connections" });
		expect(cluster.shards[0].row.get("httpRequests")).toBe(20);
	});
});
