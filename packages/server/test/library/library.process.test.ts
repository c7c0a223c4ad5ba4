import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { type Config, ConfigError, defaultConfig } from "@shardcast/config";
import { StartupError } from "@shardcast/process";
import { silentLog } from "@shardcast/telemetry";
import { httpRequest, LibraryClient, postJson, RawClient, Scrape, waitFor } from "@shardcast/testkit";
import { afterEach, describe, expect, it } from "vitest";
import type { Middleware } from "../../src/delivery/incoming/middleware.ts";
import type { MetricSample } from "../../src/library/metric-sink.ts";
import { logging } from "../../src/library/middleware-logging.ts";
import { recovery } from "../../src/library/middleware-recovery.ts";
import { createServer, type Server, type ServerOptions } from "../../src/library/server.ts";

const servers: Server[] = [];
const clients: LibraryClient[] = [];
afterEach(async () => {
	await Promise.all(servers.splice(0).map((server) => server.shutdown(2000)));
	await Promise.all(clients.splice(0).map((client) => client.closed));
});

function create(config: Partial<Config> = {}, options: ServerOptions = {}): Server {
	const server = createServer({ addr: "127.0.0.1:0", ...config }, { log: silentLog(), statusLine: false, ...options });
	servers.push(server);
	return server;
}
async function running(config: Partial<Config> = {}, options: ServerOptions = {}): Promise<Server> {
	const server = create(config, options);
	await server.run();
	return server;
}
async function connect(server: Server, query = ""): Promise<LibraryClient> {
	const client = await LibraryClient.open(`${server.url}/${query}`);
	clients.push(client);
	return client;
}
const httpUrl = (server: Server): string => server.url.replace(/^ws/, "http");

describe("a server in the application's process", () => {
	it("is created, runs, serves clients and shuts down", async () => {
		const server = create();
		expect(server.port).toBe(0);
		await server.run();
		const [one, other] = [await connect(server), await connect(server)];
		one.send("hello");
		await other.waitForMessages(1);
		expect(other.texts()).toEqual(["hello"]);
		expect(one.texts()).toEqual([]);
		expect(await server.shutdown()).toBe(0);
		expect((await one.closed).code).toBe(1001);
		expect((await other.closed).code).toBe(1001);
		await expect(LibraryClient.open(server.url)).rejects.toThrow();
	});

	it("sends webhooks, configured at the start or by a reload, and sends the last events before it ends", async () => {
		const told: string[] = [];
		const receiver = createHttpServer(async (request, response) => {
			let text = "";
			for await (const part of request) text += part;
			for (const event of (JSON.parse(text) as { events: { type: string; channel?: string }[] }).events)
				told.push([request.url, event.type, event.channel].filter(Boolean).join(" "));
			response.writeHead(204).end();
		});
		await new Promise<void>((resolve) => receiver.listen(0, "127.0.0.1", resolve));
		const { port } = receiver.address() as AddressInfo;
		const one = (name: string, events: readonly string[] = []) =>
			({ name, endpoint: `http://127.0.0.1:${port}/${name}`, secret: "a-secret-of-16-characters", batchDelayMs: 0, events }) as never;
		try {
			const server = await running({ webhooks: [one("first")] });
			const client = await connect(server, "?channels=a");
			await waitFor(() => told.includes("/first occupied a"), { deadlineMs: 10_000, what: `events among ${told}` });
			server.control.reload({ webhooks: [one("first"), one("second", ["vacated"])] });
			await waitFor(() => told.includes("/second start"), { deadlineMs: 10_000, what: `the other webhook among ${told}` });
			expect(await server.shutdown(), "cut off").toBe(0);
			await client.closed;
			expect(told.filter((line) => line.startsWith("/first"))).toEqual(
				["start", "connect", "subscribe a", "occupied a", "unsubscribe a", "disconnect", "vacated a"].map((line) => `/first ${line}`),
			);
			expect(told.filter((line) => line.startsWith("/second"))).toEqual(["/second start", "/second vacated a"]);
		} finally {
			receiver.closeAllConnections();
			receiver.close();
		}
	});

	it("keeps as much history as --history-memory allows; what is dropped is counted, and a client that needs it is not recovered", async () => {
		const channelWithoutNamespace = {
			...defaultConfig().channelWithoutNamespace,
			historySize: 300,
			historyTtlMs: 60_000,
			forceRecovery: true,
		};
		const server = await running({ historyMemoryBytes: 1_048_576, maxPayloadBytes: 20_000, clientInsecure: true, channelWithoutNamespace });
		const data = "x".repeat(9_998);
		for (let n = 0; n < 50; n++) expect((await postJson(`${httpUrl(server)}/api/publish`, { channel: "a", data })).status).toBe(200);
		const client = await LibraryClient.open(`${server.url}/connection/websocket`);
		clients.push(client);
		client.send(
			'{"connect":{},"id":1}\n{"history":{"channel":"a","limit":-1},"id":2}\n{"subscribe":{"channel":"a","recover":true,"offset":10},"id":3}',
		);
		const replies = () =>
			client.texts().flatMap((frame) => frame.split("\n").map((line) => JSON.parse(line) as { id: number } & Record<string, unknown>));
		await waitFor(() => replies().some(({ id }) => id === 3), { deadlineMs: 10_000, what: "the replies" });
		const [, { history }, { subscribe }] = replies() as unknown as [
			object,
			{ history: { publications: object[]; offset: number } },
			{ subscribe: object },
		];
		expect(history.offset).toBe(50);
		expect(history.publications.length).toBeGreaterThan(5);
		expect(history.publications.length).toBeLessThan(15);
		expect(subscribe).toMatchObject({ was_recovering: true, offset: 50 });
		expect(subscribe).not.toHaveProperty("recovered");
		const scrape = await Scrape.of(httpUrl(server));
		expect(scrape.sum("shardcast_history_evictions_total", { what: "reads" })).toBe(2);
		expect(scrape.sum("shardcast_recoveries_total", { result: "failed" })).toBe(1);
	});

	it("a shutdown counts and resets each client that does not read", async () => {
		const server = await running({ maxBufferedBytes: 50_000_000 });
		const dead = await Promise.all(Array.from({ length: 5 }, () => RawClient.open(server.url)));
		for (const { socket } of dead) socket.tcp.pause();
		const deliveries = async () => (await Scrape.of(httpUrl(server))).sum("shardcast_deliveries_total");
		// More than the kernel takes for a client that does not read.
		for (let round = 0; round < 200; round++) {
			const published = async () => (await server.publish(Buffer.alloc(60_000))).outcome === "accepted";
			await waitFor(published, { deadlineMs: 5000, what: "room in the ring" });
		}
		await waitFor(async () => (await deliveries()) === 1000, { deadlineMs: 10_000, what: "1000 deliveries" });
		expect(await server.shutdown(1000)).toBe(5);
		for (const { socket } of dead) socket.tcp.destroy();
	});

	it("the handler of run sees each published message", async () => {
		const server = create();
		const seen: string[] = [];
		await server.run(({ source, channels, payload }) => {
			seen.push(`${source} ${channels} ${Buffer.from(payload)}`);
		});
		const client = await connect(server, "?channels=news");
		client.send("from a client");
		await postJson(`${httpUrl(server)}/api/publish`, { channel: "news", data: "over http" });
		void server.publish("from the host", { channel: "news" });
		await client.waitForMessages(2);
		await waitFor(() => seen.length === 3, { deadlineMs: 5000, what: "all three at the handler" });
		expect(seen.sort()).toEqual(["host news from the host", "http news over http", "websocket news from a client"]);
	});

	it("two servers in one process are independent", async () => {
		const [left, right] = [await running(), await running()];
		const [leftClient, rightClient] = [await connect(left), await connect(right)];
		void left.publish("left");
		void right.publish("right");
		await Promise.all([leftClient.waitForMessages(1), rightClient.waitForMessages(1)]);
		expect([leftClient.texts(), rightClient.texts()]).toEqual([["left"], ["right"]]);
		await left.shutdown();
		void right.publish("still here");
		await rightClient.waitForMessages(2);
		expect(rightClient.texts()).toEqual(["right", "still here"]);
		expect(right.control.stats()).toMatchObject({ connections: 1, total_messages: 2 });
	});

	it("publishes text and bytes to everybody, to a channel and to several, to each client once", async () => {
		const server = await running({ maxPayloadBytes: 100 });
		const [all, a, ab] = [await connect(server), await connect(server, "?channels=a"), await connect(server, "?channels=a,b")];
		expect(await server.publish("everybody")).toEqual({ outcome: "accepted" });
		void server.publish("a", { channel: "a" });
		void server.publish(new Uint8Array([1, 2]), { channels: ["a", "b"] });
		await Promise.all([all, a, ab].map((client) => client.waitForMessages(3)));
		expect(ab.messages.map(({ binary }) => binary)).toEqual([false, false, true]);
		void server.publish("b", { channel: "b" });
		void server.publish("end");
		await Promise.all([all.waitForMessages(5), a.waitForMessages(4), ab.waitForMessages(5)]);
		expect(a.texts().slice(3)).toEqual(["end"]);
		expect(() => server.publish("x".repeat(101))).toThrow(/101 bytes; the most is 100/);
		expect(() => server.publish("x", { channel: "" })).toThrow(/channel name is empty/);
		// A list that happens to be empty must not reach everybody.
		expect(() => server.publish("x", { channels: [] })).toThrow(/channels is an empty list/);
	});

	it("reports invalid options by key", () => {
		expect(() => createServer({ messageRate: -1 })).toThrow(/^messageRate: "-1" is not a whole number/);
		expect(() => createServer({ idleTimeoutMs: 10 })).toThrow(/^idleTimeoutMs: "10ms" is not 0 or between 8s and 16m/);
		expect(() => createServer({ colour: "red", batch: 0 } as Partial<Config>)).toThrow(
			/^colour: there is no such option\nbatch: "0" is not/,
		);
		expect(() => createServer({ constructor: 1 } as Partial<Config>)).toThrow(/^constructor: there is no such option/);
		expect(() => createServer({ maxPayloadBytes: 2_000_000 })).toThrow(ConfigError);
		expect(createServer(defaultConfig()).config).toEqual(defaultConfig());
		expect(createServer({ idleTimeoutMs: 30_000, allowedOrigins: ["https://a.example"] }).config).toMatchObject({
			idleTimeoutMs: 30_000,
			allowedOrigins: ["https://a.example"],
		});
	});

	it("does not start with a route module that cannot be loaded", async () => {
		const kafka = { kafkaBrokers: ["127.0.0.1:1"], kafkaTopics: "t" };
		const server = create({ ...kafka, kafkaRoute: import.meta.filename.replace("library/library.process.test.ts", "harness.ts") });
		const problem = /^kafkaRoute: the module cannot be loaded: .*harness\.ts/;
		await expect(server.run()).rejects.toThrow(problem);
		await expect(server.control.reloadRoute()).rejects.toBeInstanceOf(ConfigError);
	});

	it("reports when it cannot listen, runs once, and ends once", async () => {
		const other = createTcpServer();
		await new Promise<void>((resolve) => other.listen({ port: 0, host: "127.0.0.1" }, resolve));
		const { port } = other.address() as { port: number };
		const stuck = create({ addr: `127.0.0.1:${port}` });
		await expect(stuck.run()).rejects.toThrow(StartupError);
		const another = /could not start; create another one/;
		expect(() => stuck.run()).toThrow(another);
		expect(() => stuck.publish("to nobody")).toThrow(another);
		expect(await stuck.shutdown()).toBe(0);
		other.close();

		const server = await running();
		expect(() => server.run()).toThrow(/is already running/);
		const [first, second] = [server.shutdown(), server.shutdown()];
		expect([await first, await second]).toEqual([0, 0]);
		expect(() => server.run()).toThrow(/create another one/);
		expect(() => server.publish("late")).toThrow(/has been shut down/);
		expect(await create().shutdown(), "one that never ran").toBe(0);
	});
});

describe("open and close", () => {
	it("pass the client's address, its channels and the close code", async () => {
		const server = await running();
		const told: unknown[] = [];
		server.on("open", ({ id, address, channels }) => told.push(["open", id, address, channels]));
		server.on("close", ({ id, channels }, code) => told.push(["close", id, channels, code]));
		const client = await connect(server, "?channels=a,b");
		await client.close(4001);
		await waitFor(() => told.length === 2, { deadlineMs: 2000, what: "the close event" });
		const late = await connect(server);
		await server.shutdown();
		await late.closed;
		expect(told).toEqual([
			["open", 1, "127.0.0.1", ["a", "b"]],
			["close", 1, ["a", "b"], 4001],
			["open", 2, "127.0.0.1", []],
			["close", 2, [], 1001],
		]);
	});

	it("a listener that throws is logged, and does not affect the client", async () => {
		const server = await running();
		server.on("open", () => {
			throw new Error("broken listener");
		});
		const [one, other] = [await connect(server), await connect(server)];
		one.send("still served");
		await other.waitForMessages(1);
	});
});

describe("middleware", () => {
	it("is given to the constructor or added later, the first one outermost; it may change and stop messages", async () => {
		const order: string[] = [];
		const tracing =
			(name: string): Middleware =>
			(_message, next) => {
				order.push(name);
				next();
			};
		const server = create({}, { middleware: [tracing("first")] });
		server.use((message, next) => {
			order.push("second");
			const text = Buffer.from(message.payload).toString();
			if (text === "secret") return;
			message.payload = Buffer.from(text.toUpperCase());
			next();
		});
		await server.run();
		const [one, other] = [await connect(server), await connect(server)];
		for (const text of ["secret", "hello"]) one.send(text);
		await other.waitForMessages(1);
		server.use(tracing("third"));
		expect(await server.publish("secret")).toEqual({ outcome: "stopped" });
		expect(await server.publish("again")).toEqual({ outcome: "accepted" });
		await other.waitForMessages(2);
		expect(other.texts()).toEqual(["HELLO", "AGAIN"]);
		expect(order).toEqual(["first", "second", "first", "second", "first", "second", "first", "second", "third"]);
	});

	it("an exception loses one message: it is counted, logged at a bounded rate, and 500 over HTTP", async () => {
		const lines: string[] = [];
		const errors: unknown[] = [];
		const server = create(
			{},
			{ middleware: [recovery({ print: (line) => lines.push(line), everyMs: 60_000, onError: (error) => errors.push(error) })] },
		);
		await server.run(({ payload }) => {
			if (payload.length === 3) throw new Error("three bytes");
		});
		const [one, other] = [await connect(server), await connect(server)];
		for (const text of ["bad", "good", "bad", "bad", "fine"]) one.send(text);
		await other.waitForMessages(2);
		expect(other.texts()).toEqual(["good", "fine"]);
		expect((await postJson(`${httpUrl(server)}/api/publish`, { data: "bad" })).status).toBe(500);
		expect(lines).toEqual(["a handler failed, its message is lost: three bytes"]);
		expect(errors).toHaveLength(4);
		expect(new Scrape(await server.control.metrics()).sum("shardcast_drops_total", { reason: "handler_error" })).toBe(4);
	});

	it("may be asynchronous: order per connection is kept, an HTTP publisher waits for its answer, a drain waits for pending messages", async () => {
		// Only one of them has little time: a message that is to be handled must not be too late on a busy machine.
		const [server, hasty] = [create({}, { middlewareTimeoutMs: 20_000 }), create({}, { middlewareTimeoutMs: 200 })];
		const open = new Map<string, () => void>();
		const holding: Middleware = async (message, next) => {
			const text = Buffer.from(message.payload).toString();
			if (text.startsWith("wait")) await new Promise<void>((resolve) => open.set(text, resolve));
			if (text !== "wait and stop") await next();
		};
		for (const each of [server, hasty]) await each.use(holding).run();
		const [one, other, listener] = [await connect(server), await connect(server), await connect(server)];
		one.send("wait");
		one.send("behind it");
		await waitFor(() => open.has("wait"), { deadlineMs: 2000, what: "the handler" });
		other.send("of another client");
		await listener.waitForMessages(1);
		open.get("wait")!();
		await listener.waitForMessages(3);
		expect(listener.texts()).toEqual(["of another client", "wait", "behind it"]);

		const post = (at: Server, data: string) => postJson(`${httpUrl(at)}/api/publish`, { data }).then(({ status }) => status);
		const statuses = [post(server, "wait over HTTP"), post(server, "wait and stop"), post(hasty, "wait in vain")];
		await waitFor(() => open.has("wait over HTTP") && open.has("wait and stop"), { deadlineMs: 2000, what: "the handlers" });
		open.get("wait over HTTP")!();
		open.get("wait and stop")!();
		expect(await Promise.all(statuses)).toEqual([200, 403, 500]);
		const tooLate = async (of: Server) =>
			new Scrape(await of.control.metrics()).sum("shardcast_drops_total", { reason: "handler_timeout" });
		expect([await tooLate(server), await tooLate(hasty)]).toEqual([0, 1]);

		one.send("wait to the last");
		await waitFor(() => open.has("wait to the last"), { deadlineMs: 2000, what: "the handler" });
		const ended = server.shutdown(5000);
		open.get("wait to the last")!();
		expect(await ended).toBe(0);
		expect(listener.texts().slice(3)).toEqual(["wait over HTTP", "wait to the last"]);
		expect(() => createServer({}, { middlewareTimeoutMs: 0 })).toThrow(/middlewareTimeoutMs is 0; it must be in milliseconds/);
	});

	it("logging shows the origin and the channels of a message, and how many lines it left out", async () => {
		const lines: string[] = [];
		const server = create({}, { middleware: [logging({ print: (line) => lines.push(line), everyMs: 60_000 })] });
		await server.run();
		const client = await connect(server, "?channels=a");
		client.send("12345");
		await waitFor(() => lines.length > 0, { deadlineMs: 2000, what: "a line" });
		for (let count = 0; count < 3; count++) void server.publish("x");
		expect(lines).toHaveLength(1);
		expect(lines[0]).toMatch(/^websocket 127\.0\.0\.1 -> a: 5 bytes, handled in \d+ µs$/);
	});
});

describe("control", () => {
	it("answers debug probes; one that throws affects only its own answer", async () => {
		const server = await running();
		server.control.registerDebugProbe("answer", () => 42);
		server.control.registerDebugProbe("broken", () => {
			throw new Error("no idea");
		});
		const client = await connect(server);
		for (let count = 0; count < 3; count++) client.send("x");
		await waitFor(() => server.control.stats().total_messages === 3, { deadlineMs: 2000, what: "3 messages" });
		expect(server.control.stats()).toEqual({ connections: 1, total_messages: 3, answer: 42, broken: { error: "no idea" } });
		expect(() => server.control.registerDebugProbe("connections", () => 0)).toThrow(/there already is a debug probe "connections"/);
	});

	it("reloads options that are live, and names those that are not; then nothing changes", async () => {
		const log = silentLog();
		const server = await running({ apiKey: "first-key", requireAuth: false }, { log });
		const publish = (key: string, origin = "") =>
			httpRequest(`${httpUrl(server)}/api/publish`, {
				method: "POST",
				headers: { "x-api-key": key, ...(origin === "" ? {} : { origin }) },
				body: '{"data":1}',
			}).then(({ status }) => status);
		expect(await publish("second-key")).toBe(401);
		const receiver = await connect(server);
		receiver.send("x");
		expect(await receiver.closed).toEqual({ code: 3507, reason: "clients only receive here; publish over HTTP" });
		server.control.reload({
			apiKey: "second-key",
			clientPublish: "on",
			messageRate: 2,
			logLevel: "warn",
			allowedOrigins: ["https://a.example/"],
		});
		expect([await publish("second-key"), await publish("first-key")]).toEqual([200, 401]);
		expect(await publish("second-key", "https://b.example")).toBe(403);
		expect(log.level).toBe("warn");
		const client = await connect(server);
		for (let count = 0; count < 10; count++) client.send("x");
		expect((await client.closed).code).toBe(1008);

		expect(() => server.control.reload({ messageRate: 0, maxPayloadBytes: 10 })).toThrow(
			/^maxPayloadBytes: can't be changed while the server runs; only [\w, ]*allowedOrigins, apiKey, /,
		);
		expect(() => server.control.reload({ messageRate: -5 })).toThrow(/^messageRate: "-5" is not/);
		expect(server.config).toMatchObject({ messageRate: 2, maxPayloadBytes: 65_536 });
		server.control.reload({ messageRate: 0, maxPayloadBytes: 65_536 });
		const free = await connect(server);
		for (let count = 0; count < 100; count++) free.send("x");
		free.send("y".repeat(70_000));
		expect((await free.closed).code, "the message that is too long ends it, not the rate").toBe(1009);
	});

	it("gives its metrics to Prometheus and to a sink of the application", async () => {
		const written: (readonly MetricSample[])[] = [];
		const server = await running({}, { metricSink: { everyMs: 20, write: (samples) => void written.push(samples) } });
		const client = await connect(server);
		client.send("12345");
		const last = () => written.at(-1) ?? [];
		const value = (name: string) => last().find((sample) => sample.name === name)?.value;
		await waitFor(() => value("events_processed_total") === 1, { deadlineMs: 2000, what: "the message at the sink" });
		expect(value("websocket_active_connections")).toBe(1);
		expect(last().some(({ name, labels }) => name.endsWith("_bucket") && labels.le === "+Inf")).toBe(true);
		expect((await Scrape.of(httpUrl(server))).sum("websocket_active_connections")).toBe(1);
		expect(new Scrape(await server.control.metrics()).sum("events_processed_total")).toBe(1);
	});

	it("a failing sink is logged once, and still gets the next values", async () => {
		const warnings: unknown[] = [];
		const log = Object.assign(silentLog(), { warn: (...args: unknown[]) => warnings.push(args) });
		let calls = 0;
		await running(
			{},
			{
				log,
				metricSink: {
					everyMs: 10,
					write: () => {
						calls++;
						throw new Error("sink is down");
					},
				},
			},
		);
		await waitFor(() => calls >= 4, { deadlineMs: 3000, what: "4 calls" });
		expect(warnings).toHaveLength(1);
	});

	it("prints the status line every two seconds, if enabled", async () => {
		const lines: string[] = [];
		const server = await running({}, { statusLine: (line) => lines.push(line) });
		const client = await connect(server);
		for (let count = 0; count < 5; count++) client.send("x");
		// On a busy machine the first line may be of a moment before.
		await waitFor(() => lines.at(-1)?.endsWith(" Conns: 1, Msgs: 5"), { deadlineMs: 6000, what: "a status line of now" });
		expect(lines.at(-1)).toMatch(/^\[\d{4}-\d\d-\d\dT[\d:.]+Z\] Conns: 1, Msgs: 5$/);
	});
});
