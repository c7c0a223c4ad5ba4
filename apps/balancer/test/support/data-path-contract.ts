import { readFileSync } from "node:fs";
import { join } from "node:path";
import { type BalancerCounter, type BalancerSnapshot, type HealthReport, ShardState } from "@shardcast/scoreboard";
import { getJson, httpRequest, LibraryClient, openDescriptors, RawClient, waitFor } from "@shardcast/testkit";
import { monotonicMs } from "@shardcast/wire";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { errorOf, exchange, RawConnection } from "./raw-exchange.ts";
import { type Mode, Rig, type RigOptions } from "./rig.ts";

/** What a fake shard tells of the request that it got. */
interface Seen {
	readonly slot: number;
	readonly method: string;
	readonly url: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly rawHeaders: readonly string[];
	readonly body: string;
	readonly remoteAddress: string;
}

const upgradeHead =
	"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const getHead = "GET /where HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/** What both ways to a shard, handoff and proxy, do for clients. Each implementation passes it. */
export function dataPathContract(mode: Mode): void {
	// In both modes only in CI: the tests are the same, and broadcast.cluster has proxy mode too.
	describe(`dataPath contract, ${mode}`, { tags: mode === "proxy" ? ["long"] : [] }, () => {
		let rig: Rig;
		/** Serves all tests but those that need other shards. */
		let shared: Rig | null = null;
		/** Its balancer is the one that tests share which start with nothing special and leave it as it was. */
		let asOpened = false;
		let countersBefore: BalancerSnapshot["counters"];
		const clients: RawClient[] = [];

		async function start(options: Omit<RigOptions, "mode"> = {}): Promise<void> {
			rig = await Rig.open({ mode, ...options });
			countersBefore = rig.board.balancer.snapshot().counters;
		}

		async function share(): Promise<void> {
			if (shared === null) shared = await Rig.open({ mode });
			else if (!asOpened) await shared.renewBalancer({});
			asOpened = true;
			rig = shared;
			await settled(0);
			countersBefore = rig.board.balancer.snapshot().counters;
		}

		/** The shared shards, with a balancer that the test may break or stop. */
		async function renew(options: Pick<RigOptions, "config" | "connectionsMax" | "openFiles"> = {}): Promise<void> {
			shared ??= await Rig.open({ mode });
			rig = shared;
			asOpened = false;
			await rig.renewBalancer(options);
			await settled(0);
			countersBefore = rig.board.balancer.snapshot().counters;
		}

		afterEach(async () => {
			for (const client of clients.splice(0)) client.socket.reset();
			if (rig !== shared) await rig.close();
		});

		afterAll(() => shared?.close());

		async function open(path = "/", headers: Record<string, string> = {}): Promise<{ client: RawClient; seen: Seen }> {
			const client = await RawClient.open(`ws://127.0.0.1:${rig.port}${path}`, headers);
			clients.push(client);
			const [first] = await client.waitForMessages(1);
			return { client, seen: JSON.parse(first.bytes.toString()) as Seen };
		}

		async function openMany(count: number): Promise<number[]> {
			const opened = await Promise.all(Array.from({ length: count }, () => open()));
			return opened.map(({ seen }) => seen.slot);
		}

		const perShard = (slots: readonly number[]) => rig.board.slots().map((slot) => slots.filter((other) => other === slot).length);
		/** Since the test began. */
		const counter = (name: BalancerCounter) => rig.board.balancer.get(name) - countersBefore[name];
		const counts = (name: BalancerCounter, value: number) =>
			waitFor(() => counter(name) === value, { deadlineMs: 5000, what: `${name} = ${value}` });
		/**
		 * So many on each shard, give or take `off`: a connection that arrives just while the balancer looks is counted twice rather than not at
		 * all, and the next one then goes elsewhere. A shard that has been late with its heartbeat may have got fewer.
		 */
		async function expectSpread(actual: readonly number[], expected: readonly number[], off = 1): Promise<void> {
			const sum = (counts: readonly number[]) => counts.reduce((total, count) => total + count, 0);
			expect(sum(actual)).toBe(sum(expected));
			const worst = Math.max(...expected.map((count, slot) => Math.abs((actual[slot] ?? 0) - count)));
			if (worst <= off) return;
			const what = `${actual} instead of ${expected}, and no shard was late with its heartbeat`;
			await waitFor(() => rig.lateBeats > 0, { deadlineMs: 2000, what });
		}

		/** All that was on its way has arrived, and the shards have said so. */
		const settled = (connections: number) =>
			waitFor(() => rig.connections() === connections, {
				deadlineMs: 5000,
				what: `${connections} connections on all shards`,
			});

		it("brings a WebSocket to a shard and leaves its messages alone", async () => {
			await share();
			const client = await LibraryClient.open(`ws://127.0.0.1:${rig.port}/ws?channels=a,b`);
			client.send("text");
			client.send(Buffer.from([0, 255, 13, 10]));
			const [hello, text, binary] = await client.waitForMessages(3);
			expect(JSON.parse(hello.bytes.toString())).toMatchObject({ url: "/ws?channels=a,b" });
			expect(text).toEqual({ binary: false, bytes: Buffer.from("text") });
			expect(binary).toEqual({ binary: true, bytes: Buffer.from([0, 255, 13, 10]) });
			await client.close();
			await counts(mode === "handoff" ? "handedOff" : "proxied", 1);
			await settled(0);
		});

		it("sends clients to shards by strategy and affinity, which a reload changes", async () => {
			await share();
			const slotsOf = async (...paths: readonly string[]) =>
				(await Promise.all(paths.map((path) => open(path)))).map(({ seen }) => seen.slot);
			const clear = async () => {
				for (const client of clients.splice(0)) client.socket.reset();
				await settled(0);
			};
			await rig.placeBy({ lbStrategy: "ip_hash" });
			expect(new Set(await slotsOf("/", "/", "/", "/")).size).toBe(1);
			await clear();
			await rig.placeBy({ lbAffinity: "user", lbStrategy: "round_robin" });
			expect(rig.board.balancer).toMatchObject({ strategy: "round_robin", affinity: "user" });
			const users = Array.from({ length: 8 }, (_, at) => `/?user=u${at}`);
			const [first, again] = [await slotsOf(...users), await slotsOf(...users)];
			expect(again).toEqual(first);
			expect(new Set(first).size).toBe(2);
			const claims = Buffer.from(JSON.stringify({ sub: "u0" })).toString("base64url");
			expect(await slotsOf(`/?token=a.${claims}.c`), "the user of a token").toEqual(first.slice(0, 1));
			// Without a user.
			await expectSpread(perShard(await slotsOf("/", "/", "/", "/")), [2, 2], 0);
			expect([counter("affinityKept"), counter("affinityUnknown")]).toEqual([17, 4]);
			await clear();
			await rig.placeBy({});
		});

		it("carries megabytes both ways", async () => {
			await share();
			const { client } = await open();
			const bytes = Buffer.alloc(300_000, "0123456789");
			for (let i = 0; i < 20; i++) client.send(bytes);
			const echoes = (await client.waitForMessages(21, 20_000)).slice(1);
			expect(echoes.every((echo) => echo.bytes.equals(bytes))).toBe(true);
		});

		it("brings any other request to a shard, body and all, and the next ones of the connection to the same", async () => {
			await share();
			const connection = await RawConnection.open(rig.port);
			const request = (body: string) => `POST /api/publish?x=1 HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
			await connection.write(request("one"));
			const bodies = () =>
				connection.received
					.toString()
					.match(/\{.*\}/g)
					?.map((text) => JSON.parse(text) as Seen) ?? [];
			await waitFor(() => bodies().length === 1, { deadlineMs: 5000, what: "the first answer" });
			await connection.write(request("two"));
			await waitFor(() => bodies().length === 2, { deadlineMs: 5000, what: "the second answer" });
			const [first, second] = bodies();
			expect(first).toMatchObject({ method: "POST", url: "/api/publish?x=1", body: "one" });
			expect(second).toMatchObject({ body: "two", slot: first.slot });
			connection.socket.destroy();
		});

		it.each(["/where", "/health"])("answers a client that closes its sending side after the request for %s", async (path) => {
			await share();
			const connection = await RawConnection.open(rig.port, { allowHalfOpen: true });
			connection.socket.end(getHead.replace("/where", path));
			expect(await connection.reply()).toMatchObject({ status: 200 });
		});

		it("takes a head in any two pieces", async () => {
			await share();
			const splits = Array.from({ length: getHead.length - 1 }, (_, index) => index + 1);
			const replies = await Promise.all(splits.map((split) => exchange(rig.port, getHead.slice(0, split), getHead.slice(split))));
			expect(replies.map(({ status }) => status)).toEqual(splits.map(() => 200));
		});

		it("spreads a burst evenly, before the shards have reported anything", async () => {
			await start({ shards: 3 });
			await expectSpread(perShard(await openMany(90)), [30, 30, 30]);
		});

		it("sends new clients to the shard with the fewest, including clients that connected directly", async () => {
			await share();
			await openMany(4);
			const row = rig.row(0);
			// In handoff mode all connections of a shard count; through the proxy those it did not see.
			row.connections += 10;
			row.webSockets += 10;
			await expectSpread(perShard(await openMany(8)), [0, 8], 0);
			row.connections -= 10;
			row.webSockets -= 10;
		});

		it("fills the shards to the last slot, then reports that they are full, and accepts the next client when one has left", async () => {
			await renew({ connectionsMax: 25 });
			await expectSpread(perShard(await openMany(50)), [25, 25]);
			const refused = await exchange(rig.port, upgradeHead);
			expect(refused.status).toBe(503);
			expect(refused.head).toMatch(/^Retry-After: [1-9]\d*$/m);
			expect(refused.head).toMatch(/^Content-Type: application\/json\r?$/m);
			expect(errorOf(refused)).toEqual({ code: "cluster_full", message: expect.stringContaining("50/50") });
			expect(counter("refusedBusy")).toBe(1);

			await clients.shift()!.close();
			await open();
			expect(counter("refusedBusy")).toBe(1);
		});

		it("refuses nobody while as many leave as come", { tags: ["long"] }, async () => {
			await renew({ connectionsMax: 20 });
			await openMany(40);
			for (let round = 0; round < 20; round++) {
				// Most have not been counted out by their shards when the next ones come.
				for (const client of clients.splice(0, 10)) client.socket.reset();
				await openMany(10);
			}
			expect(counter("refusedBusy")).toBe(0);
			expect(rig.board.rows().map((row) => row.webSockets)).toEqual([20, 20]);
		});

		it("passes requests to a full cluster; a kept-alive connection takes no slot", { tags: ["long"] }, async () => {
			await renew({ connectionsMax: 5 });
			const keptAlive = await RawConnection.open(rig.port);
			await keptAlive.write("GET /first HTTP/1.1\r\nHost: a\r\n\r\n");
			await waitFor(() => keptAlive.received.length > 0, { deadlineMs: 5000, what: "an answer" });
			await openMany(10);
			expect((await httpRequest(`${rig.url}/api/publish`, { method: "POST", body: "x" })).status).toBe(200);
			keptAlive.socket.destroy();
		});

		it("answers 503 with the reason while no shard serves", async () => {
			await share();
			for (const row of rig.board.rows()) row.state = ShardState.draining;
			const reply = await exchange(rig.port, getHead);
			expect(reply.status).toBe(503);
			expect(reply.head).toMatch(/^Retry-After: [1-9]/m);
			expect(errorOf(reply)).toEqual({ code: "no_shard_serves", message: expect.stringContaining("2 shards") });
			const toHead = await exchange(rig.port, getHead.replace("GET", "HEAD"));
			expect(toHead).toEqual({ ...reply, body: "" });
			for (const row of rig.board.rows()) row.state = ShardState.serving;
		});

		it("skips a shard that has died, even before its death was noticed", { tags: ["long"] }, async () => {
			await start({ silence: true });
			await rig.killShard(0, { release: false });
			const slots = (await Promise.all(Array.from({ length: 20 }, () => open()))).map(({ seen }) => seen.slot);
			expect(perShard(slots)).toEqual([0, 20]);
			expect(counter("refusedBusy")).toBe(0);
		});

		it("keeps its counts right when a shard dies, and sends clients to its successor", async () => {
			await renew();
			const before = perShard(await openMany(20));
			await expectSpread(before, [10, 10]);
			await rig.killShard(0);
			// Those of the other shard.
			const left = before[1]!;
			await settled(left);
			await rig.startShard(0);
			const each = (left + 30) / 2;
			await expectSpread(perShard(await openMany(30)), [each, each - left], 1.5);
			await settled(left + 30);
			for (const row of rig.board.rows()) expect(row.handoffsSent).toBe(row.handoffsReceived);
		});

		it("keeps its counts right when it dies itself", async () => {
			await renew({ connectionsMax: 30 });
			await openMany(20);
			const allCounted = () => rig.board.rows().every((row) => row.handoffsSent === row.handoffsReceived);
			// Killed after it sent a message and before it counted it, a balancer leaves a count that its successor corrects a second later.
			await waitFor(allCounted, { deadlineMs: 5000, what: "as many handoffs sent as received" });
			await rig.killBalancer();
			if (mode === "proxy") await settled(0);
			// On the same port, though connections of its predecessor's are still open there.
			await rig.startBalancer({ lbAddr: `127.0.0.1:${rig.port}` });
			const before = mode === "proxy" ? 0 : 20;
			const after = perShard(await openMany(30));
			await expectSpread(after, [15, 15]);
			await settled(before + 30);
			expect(rig.board.rows().map((row) => row.proxiedOpen)).toEqual(mode === "proxy" ? after : [0, 0]);
		});

		it("answers 408 when the head does not come in time", async () => {
			await renew({ config: { headTimeoutMs: 300 } });
			const reply = await exchange(rig.port, "GET / HTTP/1.1\r\nHo");
			expect(reply.status).toBe(408);
			expect(errorOf(reply).code).toBe("head_timeout");
			expect(counter("refusedHeadTimeout")).toBe(1);
		});

		it("answers 431 when the head does not end", { tags: ["long"] }, async () => {
			await renew({ config: { headBytesMax: 1024 } });
			const head = (bytes: number) => `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nX: ${"x".repeat(bytes - 51)}\r\n\r\n`;
			expect(head(1024).length).toBe(1024);
			expect(await exchange(rig.port, head(1024))).toMatchObject({ status: 200 });
			const reply = await exchange(rig.port, head(1025));
			expect(reply.status).toBe(431);
			expect(errorOf(reply).code).toBe("head_too_long");
			expect(await exchange(rig.port, head(1025).replace("GET", "HEAD"))).toEqual({ ...reply, body: "" });
			expect(counter("refusedHeadTooLong")).toBe(2);
		});

		it.each([
			["a TLS hello", Buffer.from("160301020001fc0303", "hex")],
			["noise", Buffer.from([0, 1, 2])],
			["a request line that is none", "HELLO\r\n"],
			["two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"],
		])("answers 400 at once to %s", async (_, bytes) => {
			await share();
			const reply = await exchange(rig.port, bytes);
			expect(reply.status).toBe(400);
			expect(errorOf(reply)).toEqual({ code: "bad_request", message: expect.stringMatching(/not an HTTP\/1\.1 request: \w/) });
			expect(counter("refusedBadRequest")).toBe(1);
		});

		it("answers 403 to pages of other origins, and admits its own pages, listed ones, and programs without an origin", async () => {
			await renew({ config: { allowedOrigins: ["https://good.example"] } });
			const get = (origin: string | null, host = new URL(rig.url).host) =>
				httpRequest(`${rig.url}/`, { headers: { Host: host, ...(origin === null ? {} : { Origin: origin }) } }).then(
					({ status }) => status,
				);
			const letIn = [
				get(null),
				get("https://good.example"),
				get("https://GOOD.example"),
				get("http://localhost:5173"),
				get(rig.url),
				get("https://trade.example", "trade.example"),
				get("http://trade.example", "Trade.example:80"),
				get("http://[2001:db8::1]:81", "[2001:db8::1]:81"),
			];
			expect(await Promise.all(letIn)).toEqual(letIn.map(() => 200));
			const refused = [
				get("https://evil.example"),
				get("null"),
				get("http://127.evil.example"),
				get("http://trade.example:8080", "trade.example"),
				get("http://localhost:5173", "trade.example"),
			];
			expect(await Promise.all(refused)).toEqual(refused.map(() => 403));
			const head = await exchange(rig.port, "HEAD / HTTP/1.1\r\nHost: a\r\nOrigin: https://evil.example\r\n\r\n");
			expect([head.status, head.body, /^Content-Length: [1-9]/m.test(head.head)]).toEqual([403, "", true]);
			expect(counter("refusedForbidden")).toBe(refused.length + 1);
		});

		it("answers /health, /ready and /metrics itself, and closes, since the next request may be a shard's", async () => {
			await share();
			let asked = 0;
			const isHealthy = async () => {
				const health = await RawConnection.open(rig.port);
				asked++;
				await health.write("GET /health?verbose HTTP/1.1\r\nHost: a\r\n\r\n");
				const reply = await health.reply();
				expect(reply.status).toBe(200);
				expect(reply.head).toMatch(/^connection: close$/im);
				const report = JSON.parse(reply.body) as HealthReport;
				expect(report).toMatchObject({
					status: "healthy",
					mode,
					maxConnections: 2000,
					balancer: { pid: rig.balancerPid, status: "healthy" },
				});
				expect(report.shards.map(({ id, status }) => ({ id, status }))).toEqual([
					{ id: 0, status: "healthy" },
					{ id: 1, status: "healthy" },
				]);
				return true;
			};
			const isReady = async () => {
				asked++;
				expect(await getJson(`${rig.url}/ready`)).toEqual({ ready: true });
				return true;
			};
			// One that is late with its heartbeat, on a busy machine, is told of meanwhile.
			await waitFor(isHealthy, { deadlineMs: 5000, what: "a healthy cluster" });
			await waitFor(isReady, { deadlineMs: 5000, what: "a ready cluster" });
			expect(await httpRequest(`${rig.url}/metrics`)).toMatchObject({ status: 200, body: "# the metrics\n" });
			expect(await httpRequest(`${rig.url}/health`, { method: "HEAD" })).toMatchObject({ status: 200, body: "" });
			expect(await httpRequest(`${rig.url}/health`, { method: "POST", body: "x" })).toMatchObject({ status: 405 });
			expect(counter("answered")).toBe(asked + 3);
			expect(counter(mode === "handoff" ? "handedOff" : "proxied")).toBe(0);
		});

		it("answers the first of many requests that come at once, and reads no further", async () => {
			await share();
			const asked = rig.metricsAsked;
			const many = "GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n".repeat(1800);
			const replies = [await exchange(rig.port, many), await exchange(rig.port, many.slice(0, 20), many.slice(20))];
			for (const { status, body } of replies) expect({ status, body }).toEqual({ status: 200, body: "# the metrics\n" });
			expect(rig.metricsAsked - asked).toBe(2);
			expect(counter("answered")).toBe(2);
		});

		it("says what is wrong when a shard is away, and that it is not ready", async () => {
			await share();
			rig.row(1).state = ShardState.dead;
			expect(await getJson(`${rig.url}/health`)).toMatchObject({ status: "degraded" });
			expect(await httpRequest(`${rig.url}/ready`)).toMatchObject({ status: 503 });
			rig.row(0).state = ShardState.dead;
			expect(await httpRequest(`${rig.url}/health`)).toMatchObject({ status: 503 });
			for (const row of rig.board.rows()) row.state = ShardState.serving;
		});

		it("tells the shard the client's own address", async () => {
			await share();
			const connection = await RawConnection.open(rig.port, { localAddress: "127.0.0.77" });
			await connection.write(
				"GET / HTTP/1.1\r\nHost: a\r\nx-real-ip: 6.6.6.6\r\nX-Forwarded-For: 1.1.1.1, 2.2.2.2\r\nX-Shardcast-Proxy: guess\r\nX-Kept:  as is \r\nConnection: close\r\n\r\n",
			);
			const seen = JSON.parse((await connection.reply()).body) as Seen;
			if (mode === "handoff") {
				expect(seen.remoteAddress).toBe("127.0.0.77");
				return;
			}
			const token = readFileSync(join(rig.directory.path, "proxy-token"), "latin1");
			expect(token.length).toBeGreaterThan(20);
			expect(seen.headers).toMatchObject({ "x-real-ip": "127.0.0.77", "x-forwarded-for": "1.1.1.1, 2.2.2.2, 127.0.0.77" });
			expect(seen.rawHeaders.filter((name) => /^x-/i.test(name)).map((name) => name.toLowerCase())).toEqual([
				"x-kept",
				"x-forwarded-for",
				"x-real-ip",
				"x-shardcast-proxy",
			]);
			expect(seen.headers["x-shardcast-proxy"]).toBe(token);
		});

		it("does so for each request of a connection, however they arrive and whatever the client claims", async () => {
			await share();
			const connection = await RawConnection.open(rig.port, { localAddress: "127.0.0.78" });
			const forged = "X-Real-IP: 6.6.6.6\r\nx-forwarded-for: 7.7.7.7\r\nX-SHARDCAST-PROXY: guess\r\n";
			const get = `GET /get HTTP/1.1\r\nHost: a\r\n${forged}\r\n`;
			const post = `POST /length HTTP/1.1\r\nHost: a\r\n${forged}Content-Length: ${get.length}\r\n\r\n${get}`;
			const size = get.length.toString(16);
			const chunked = `POST /chunked HTTP/1.1\r\n${forged}Host: a\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${get}\r\n0\r\n\r\n`;
			const round = get + post + chunked + get.replace("GET", "HEAD");
			// In one write, then in pieces that end anywhere, then request by request.
			await connection.write(round + round);
			for (let at = 0; at < round.length; at += 37) await connection.write(round.slice(at, at + 37));
			await connection.write(get);
			const answers = () =>
				connection.received
					.toString("latin1")
					.match(/\{"slot".*?"remoteAddress":"[^"]*"\}/g)
					?.map((text) => JSON.parse(text) as Seen) ?? [];
			await waitFor(() => answers().length === 10, { deadlineMs: 5000, what: "ten answers" });
			expect(answers().map(({ url }) => url)).toEqual([
				...["/get", "/length", "/chunked"],
				...["/get", "/length", "/chunked"],
				...["/get", "/length", "/chunked"],
				"/get",
			]);
			const token = mode === "proxy" ? readFileSync(join(rig.directory.path, "proxy-token"), "latin1") : "guess";
			for (const seen of answers()) {
				expect(seen.body).toBe(seen.method === "GET" ? "" : get);
				if (mode === "handoff") {
					expect(seen.remoteAddress).toBe("127.0.0.78");
					continue;
				}
				expect(seen.headers).toMatchObject({
					"x-real-ip": "127.0.0.78",
					"x-forwarded-for": "7.7.7.7, 127.0.0.78",
					"x-shardcast-proxy": token,
				});
			}
			connection.socket.destroy();
		});

		it("accepts a WebSocket on a connection that has carried requests", async () => {
			await share();
			const connection = await RawConnection.open(rig.port, { localAddress: "127.0.0.79" });
			const text = () => connection.received.toString("latin1");
			await connection.write("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
			// The fake shard, which is node:http, drops its answer if the upgrade comes sooner.
			if (mode === "handoff") await waitFor(() => text() !== "", { deadlineMs: 5000, what: "an answer" });
			await connection.write(upgradeHead);
			await waitFor(() => /"url":"\/ws"/.test(text()), { deadlineMs: 5000, what: "the greeting" });
			expect(text()).toMatch(/^HTTP\/1\.1 200 [\s\S]*HTTP\/1\.1 101 /);
			if (mode === "proxy") expect(JSON.parse(/\{"slot":\d,"url".*$/.exec(text())![0]).headers["x-real-ip"]).toBe("127.0.0.79");
			// A masked frame with "hi", which the shard sends back.
			await connection.write(Buffer.from([0x81, 0x82, 0, 0, 0, 0, 0x68, 0x69]));
			await waitFor(() => text().endsWith("\x81\x02hi"), { deadlineMs: 5000, what: "the echo" });
			connection.socket.destroy();
			await settled(0);
		});

		it.each([
			["GET", "end"],
			["GET / HTTP/1.1\r\nHost", "resetAndDestroy"],
			["", "end"],
		] as const)("counts a client that leaves before there is a whole head: %j, %s", { tags: ["long"] }, async (bytes, leave) => {
			await renew({ config: { headTimeoutMs: 60_000 } });
			const connection = await RawConnection.open(rig.port);
			if (bytes !== "") {
				await connection.write(bytes);
				await counts("accepted", 1);
			}
			connection.socket[leave]();
			await counts("closedEarly", 1);
			expect(counter("accepted")).toBe(1);
		});

		it("loses no client while the shards do not receive their connections", async () => {
			await share();
			// Handed over, a shard may be too busy to take anything while its heart beats; through the proxy the kernel takes it all.
			for (const slot of [0, 1]) mode === "handoff" ? rig.tellShard(slot, "stall") : rig.signalShard(slot, "SIGSTOP");
			const waiting: ReturnType<typeof open>[] = [];
			for (let round = 1; round <= 20; round++) {
				waiting.push(...Array.from({ length: 15 }, () => open()));
				await counts("accepted", 15 * round);
			}
			// Ten messages fit into a shard's socket; the rest waits in the balancer.
			if (mode === "handoff") await waitFor(() => counter("sendRetries") > 0, { deadlineMs: 5000, what: "a full socket" });
			for (const slot of [0, 1]) mode === "handoff" ? rig.tellShard(slot, "resume") : rig.signalShard(slot, "SIGCONT");
			// How they are spread is not looked at: of shards that stood still, the first one to respond again may be given all that waits.
			await Promise.all(waiting);
			await settled(300);
			expect(counter("refusedBusy")).toBe(0);
		});

		it("sends no client to a stopped shard, and what it has not received to another, at most once", { tags: ["long"] }, async () => {
			await start({ silence: true });
			rig.signalShard(0, "SIGSTOP");
			const beganMs = performance.now();
			const opened = await Promise.all(Array.from({ length: 60 }, () => open()));
			expect(performance.now() - beganMs).toBeLessThan(4000);
			expect(perShard(opened.map(({ seen }) => seen.slot))).toEqual([0, 60]);
			expect(counter("refusedBusy")).toBe(0);
			expect(counter("takenBack")).toBeGreaterThan(0);
			expect(counter(mode === "handoff" ? "handedOff" : "proxied") - counter("takenBack")).toBe(60);
			const reasons = [expect.stringMatching(/^shard 0: not responding: no heartbeat for \d\.\d s$/)];
			const told = async () => expect(await getJson(`${rig.url}/health`)).toMatchObject({ reasons });
			await waitFor(told, { deadlineMs: 5000, what: "shard 0, and no other, to be told of" });
			// It resumes: it has none of them, and gets the next.
			rig.signalShard(0, "SIGCONT");
			await waitFor(() => (rig.row(0).get("heartbeatMs") > monotonicMs() - 200 ? true : null), { deadlineMs: 5000, what: "a heartbeat" });
			await settled(60);
			expect(perShard(await openMany(10))).toEqual([10, 0]);
			await settled(70);
			expect(rig.board.rows().map(({ webSockets }) => webSockets)).toEqual([10, 60]);
		});

		// Through the proxy a request may have been begun by the shard: it is not given to another.
		if (mode === "handoff")
			it("gives a request that a shard has not received to one that is full of clients", { tags: ["long"] }, async () => {
				await start({ connectionsMax: 5, silence: true });
				await openMany(10);
				rig.signalShard(0, "SIGSTOP");
				const post = () => httpRequest(`${rig.url}/api/publish`, { method: "POST", body: "x" });
				const replies = await Promise.all(Array.from({ length: 6 }, post));
				rig.signalShard(0, "SIGCONT");
				expect(replies.map(({ status }) => status)).toEqual(Array(6).fill(200));
				expect(counter("takenBack")).toBeGreaterThan(0);
			});

		it("serves on while hundreds connect and send nothing: they displace each other, not clients and not /health", async () => {
			await renew({ openFiles: 256, config: { headTimeoutMs: 60_000 } });
			const { balancerPid } = rig;
			await openMany(10);
			const idle: RawConnection[] = [];
			const more = async () => {
				idle.push(...(await Promise.all(Array.from({ length: 30 }, () => RawConnection.open(rig.port)))));
				return counter("refusedHeadTimeout") > 300;
			};
			await waitFor(more, { deadlineMs: 15_000, what: "300 to be displaced" });
			expect(openDescriptors(balancerPid)).toBeLessThan(256);
			// Through the proxy a request is known only once it has been read, for which those that have just come give no place.
			const served = (path: string) => httpRequest(`${rig.url}${path}`).then(({ status }) => status === 200);
			if (mode === "proxy") await waitFor(() => served("/health"), { deadlineMs: 3000, what: "/health" });
			expect([await served("/health"), await served("/metrics")]).toEqual([true, true]);
			if (mode === "proxy") await waitFor(() => open().catch(() => null), { deadlineMs: 3000, what: "place for a client" });
			for (let more = 0; more < 20; more++) await open();
			const told = () => idle.filter(({ received }) => received.includes("408 Request Timeout")).length;
			await waitFor(() => told() > 300, { deadlineMs: 5000, what: "what those are told that were displaced" });
			for (const { socket } of idle) socket.destroy();
			await waitFor(() => rig.board.balancer.pending === 0, { deadlineMs: 5000, what: "nothing pending" });
			await openMany(5);
			expect(counter("acceptErrors")).toBe(0);
			expect(rig.balancerPid).toBe(balancerPid);
		});

		it("answers clients for whom it has no descriptor, and /health, when it can hand nothing over", async () => {
			await renew({ openFiles: 200, connectionsMax: 1 });
			await openMany(2);
			// Those that are refused stay, as a client may: each holds a descriptor until the balancer cuts it.
			const refused = await Promise.all(
				Array.from({ length: 500 }, async () => {
					const connection = await RawConnection.open(rig.port, { allowHalfOpen: true });
					await connection.write(upgradeHead);
					return connection;
				}),
			);
			// A request that takes its time may have been displaced before it came.
			const isAnswered = ({ received }: RawConnection) => /HTTP\/1\.1 (503|408) /.test(received.toString("latin1"));
			const answered = () => refused.filter(isAnswered).length;
			await waitFor(() => answered() === 500, { deadlineMs: 10_000, what: "500 answers" }).catch((error: unknown) => {
				const others = refused.filter((connection) => !isAnswered(connection));
				const how = others.map(({ socket, received }) => `${socket.readyState} ${received.toString("latin1").slice(0, 30)}`);
				throw new Error(`${answered()} of 500 are answered; others: ${[...new Set(how)].join("; ")}`, { cause: error });
			});
			expect(openDescriptors(rig.balancerPid)).toBeLessThan(200);
			expect(rig.connections()).toBe(2);
			expect(await getJson(`${rig.url}/health`)).toMatchObject({ connections: 2, maxConnections: 2 });
			for (const { socket } of refused) socket.destroy();
			expect(counter("acceptErrors")).toBe(0);
		});

		it("stops at once when no client is connected, and accepts none", async () => {
			await renew();
			const { port } = rig;
			const idle = await RawConnection.open(port);
			expect(await rig.drainBalancer(10_000)).toEqual({ cutOff: 0, status: 0 });
			// The kernel may have kept it from the balancer, since it has not sent anything; then it learns of the end when it does.
			await idle.write("G");
			await idle.reply();
			await expect(RawConnection.open(port)).rejects.toMatchObject({ code: "ECONNREFUSED" });
		});

		it("finishes its connections before it stops", async () => {
			await renew();
			const connection = await RawConnection.open(rig.port);
			await connection.write(getHead.slice(0, 20));
			await counts("accepted", 1);
			const drained = rig.drainBalancer(10_000);
			await waitFor(() => rig.board.balancer.state === ShardState.draining, { deadlineMs: 5000, what: "the drain" });
			await connection.write(getHead.slice(20));
			expect(await connection.reply()).toMatchObject({ status: 200 });
			expect(await drained).toEqual({ cutOff: 0, status: 0 });
		});

		it("reports how many connections it had to drop", async () => {
			await renew();
			const connection = await RawConnection.open(rig.port);
			await connection.write(getHead.slice(0, 20));
			await counts("accepted", 1);
			await openMany(2);
			// Through the proxy the open WebSockets are cut as well; handed over, they are their shards'.
			expect(await rig.drainBalancer(300)).toEqual({ cutOff: mode === "proxy" ? 3 : 1, status: 0 });
			expect((await connection.reply()).status).toBe(0);
		});

		it("says which option to change when its port is taken", async () => {
			await renew();
			const taken = rig.port;
			const rival = await rig.startBalancer({ lbAddr: `127.0.0.1:${taken}` });
			expect(rival).toMatchObject({ type: "fatal", flag: "--lb-addr", exitStatus: 2, message: expect.stringContaining("--lb-addr") });
		});

		it("keeps no descriptor of a connection that has ended", async () => {
			await share();
			const before = openDescriptors(rig.balancerPid);
			await openMany(50);
			await httpRequest(`${rig.url}/health`);
			for (const client of clients.splice(0)) await client.close();
			await waitFor(() => openDescriptors(rig.balancerPid) <= before + (mode === "handoff" ? 4 : 0), {
				deadlineMs: 5000,
				what: `${before} descriptors`,
			});
		});
	});
}
