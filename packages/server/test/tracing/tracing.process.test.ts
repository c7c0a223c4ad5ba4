import { createServer as createHttpServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { defaultConfig } from "@shardcast/config";
import type { Log } from "@shardcast/telemetry";
import { freePorts, httpRequest, OtlpCollector, type ReceivedSpan, Scrape, waitFor } from "@shardcast/testkit";
import { Centrifuge } from "centrifuge";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { createServer, type Server } from "../../src/library/index.ts";
import { tokenOf, tokenSecret } from "../support/tokens.ts";

const deadlineMs = 10_000;
const key = "a-key-of-the-server-api";
let traces = 0;
/** A new trace, as a publisher sends it. */
function parent(flags = "01") {
	const traceId = (++traces).toString(16).padStart(32, "a");
	return { traceId, spanId: "00f067aa0ba902b7", header: `00-${traceId}-00f067aa0ba902b7-${flags}` };
}
const logTo = (warn: (fields: Readonly<Record<string, unknown>>, text: string) => void): Log => {
	const nothing = () => {};
	const log = { level: "info", debug: nothing, info: nothing, error: nothing, warn, child: (): Log => log as unknown as Log };
	return log as unknown as Log;
};
const named = (spans: readonly ReceivedSpan[], name: string) => {
	const found = spans.find((span) => span.name === name);
	if (found === undefined) throw new Error(`there is no span ${name}, only ${spans.map((span) => span.name).join(", ")}`);
	return found;
};

describe("a server whose traces go to a collector", () => {
	let collector: OtlpCollector;
	let server: Server;
	let client: Centrifuge;
	const backend = createHttpServer();
	const asked: IncomingHttpHeaders[] = [];
	const lines: { readonly fields: Readonly<Record<string, unknown>>; readonly text: string }[] = [];
	const got: { readonly data: unknown; readonly tags: Readonly<Record<string, string>> | undefined }[] = [];

	beforeAll(async () => {
		collector = await OtlpCollector.start();
		backend.on("request", (request, response) => {
			asked.push(request.headers);
			request.resume().on("end", () => response.end('{"result":{"data":1}}'));
		});
		await new Promise<void>((resolve) => backend.listen(0, "127.0.0.1", resolve));
		const { channelWithoutNamespace, rpcProxy, rpcWithoutNamespace } = defaultConfig();
		const open = { ...channelWithoutNamespace, allowSubscribeForClient: true };
		const log = logTo((fields, text) => lines.push({ fields, text }));
		server = createServer(
			{
				...{ addr: "127.0.0.1:0", clientInsecure: true, tokenHmacSecret: tokenSecret, otlpEndpoint: `${collector.url}/`, traceSample: 0 },
				...{ traceService: "prices", otlpHeaders: "X-Key=a%20b", apiKey: key },
				channelWithoutNamespace: open,
				channelNamespaces: [{ ...open, name: "kept", historySize: 10, historyTtlMs: 60_000 }],
				rpcProxy: { ...rpcProxy, endpoint: `http://127.0.0.1:${(backend.address() as AddressInfo).port}/` },
				rpcWithoutNamespace: { ...rpcWithoutNamespace, proxyEnabled: true },
			},
			{ log, statusLine: false },
		);
		await server.run();
		client = new Centrifuge(`${server.url}/connection/websocket`, { websocket: WebSocket, token: await tokenOf({ sub: "ann" }) });
		for (const channel of ["news", "kept:a"]) {
			const subscription = client.newSubscription(channel);
			subscription.on("publication", ({ data, tags }) => got.push({ data, tags }));
			subscription.subscribe();
		}
		client.connect();
		await Promise.all(Object.values(client.subscriptions()).map((subscription) => subscription.ready(deadlineMs)));
	});
	afterAll(async () => {
		client?.disconnect();
		await server.shutdown(2000);
		await collector.close();
		await new Promise((resolve) => backend.close(resolve));
		expect(collector.problems).toEqual([]);
	});

	const post = (path: string, body: object, headers: Readonly<Record<string, string>> = {}) =>
		httpRequest(`${server.url.replace("ws", "http")}${path}`, {
			method: "POST",
			headers: { ...headers, "x-api-key": key },
			body: JSON.stringify(body),
		});
	const arrived = (data: unknown) =>
		waitFor(() => got.find((each) => each.data === data), { deadlineMs, what: `publication ${String(data)} at the client` });

	it.each([
		["news", "bus"],
		["kept:a", "log"],
	])("a publication over HTTP to %s is one trace, from the publisher's to the sockets", async (channel, hop) => {
		const { traceId, spanId, header } = parent();
		const data = `one ${channel}`;
		const { status } = await post("/api/publish", { channel, data }, { traceparent: header, tracestate: "vendor=1" });
		expect(status).toBe(200);
		expect((await arrived(data))!.tags).toBeUndefined();
		const spans = await collector.trace(traceId, 3);
		const [publish, between, deliver] = ["POST /api/publish", hop, "deliver"].map((name) => named(spans, name)) as [
			ReceivedSpan,
			ReceivedSpan,
			ReceivedSpan,
		];
		expect([publish.parentId, between.parentId, deliver.parentId]).toEqual([spanId, publish.spanId, between.spanId]);
		expect(spans.map(({ service, state }) => [service, state])).toEqual(spans.map(() => ["prices", "vendor=1"]));
		expect(publish).toMatchObject({
			kind: 2,
			attributes: { "http.response.status_code": 200, "messaging.destination.name": channel, "messaging.message.body.size": data.length },
		});
		expect(deliver).toMatchObject({ kind: 5, attributes: { "messaging.destination.name": channel, "shardcast.clients": 1 } });
		expect(deliver.attributes["shardcast.bytes"]).toBeGreaterThan(data.length);
		expect(deliver.attributes["shardcast.offset"]).toBe(hop === "log" ? 1 : undefined);
		expect(publish.startNs <= between.startNs && between.endNs <= deliver.endNs && deliver.startNs <= deliver.endNs).toBe(true);
		expect(collector.headers[0]).toMatchObject({ "x-key": "a b", "content-type": "application/json" });
	});

	it("a batch, a broadcast and the program's own publications are traced as well", async () => {
		const batch = parent();
		await post("/api/batch", { commands: [{ publish: { channel: "news", data: "b1" } }] }, { traceparent: batch.header });
		const broadcast = parent();
		await post("/api/broadcast", { channels: ["news"], data: "b2" }, { traceparent: broadcast.header });
		const own = parent();
		await server.publish('"b3"', { channel: "news", traceparent: own.header });
		for (const data of ["b1", "b2", "b3"]) await arrived(data);
		expect(named(await collector.trace(batch.traceId, 3), "POST /api/batch").parentId).toBe(batch.spanId);
		expect(named(await collector.trace(broadcast.traceId, 3), "deliver").attributes).toMatchObject({ "shardcast.clients": 1 });
		expect(named(await collector.trace(own.traceId, 3), "publish")).toMatchObject({ parentId: own.spanId, kind: 4 });
	});

	it("a refused request has its status in the trace, which is no error; an unsampled or broken context is not recorded, and disturbs nothing", async () => {
		const refused = parent();
		expect((await post("/api/publish", { channel: "news" }, { traceparent: refused.header })).status).toBe(400);
		expect((await collector.trace(refused.traceId, 1))[0]).toMatchObject({
			attributes: { "http.response.status_code": 400 },
			error: undefined,
		});
		const unsampled = parent("00");
		await post("/api/publish", { channel: "news", data: "u1" }, { traceparent: unsampled.header });
		await post("/api/publish", { channel: "news", data: "u2" }, { traceparent: "nonsense", tracestate: "x".repeat(2000) });
		await arrived("u1");
		await arrived("u2");
		const after = parent();
		await post("/api/publish", { channel: "news", data: "u3" }, { traceparent: after.header });
		await collector.trace(after.traceId, 3);
		expect(collector.spans.filter(({ traceId }) => traceId === unsampled.traceId)).toEqual([]);
	});

	it("a reload changes what is traced, tagged and logged as slow", async () => {
		asked.length = 0;
		await client.rpc("call", 1);
		expect(asked[0]).not.toHaveProperty("traceparent");
		server.control.reload({ traceSample: 1, traceTags: true, slowMessageMs: 20 });
		await client.rpc("call", 1);
		const [, traceId, spanId] = String(asked[1]!.traceparent).split("-");
		const [call] = await collector.trace(traceId!, 1);
		expect(call).toMatchObject({ name: "rpc hook", spanId, parentId: "", kind: 3, attributes: { "http.response.status_code": 200 } });

		void server.publish('"s1"', { channel: "kept:a" });
		const untilMs = performance.now() + 60;
		while (performance.now() < untilMs);
		const tag = (await arrived("s1"))!.tags?.traceparent;
		expect(tag).toMatch(/^00-[\da-f]{32}-[\da-f]{16}-01$/);
		const { fields, text } = (await waitFor(() => lines.find((line) => line.text.startsWith("slow message")), {
			...{ deadlineMs, what: "the line about the slow message" },
		}))!;
		expect(fields).toMatchObject({ channel: "kept:a", size: 4, clients: 1, kafkaMs: 0, trace: tag!.slice(3, 35), slow: 1 });
		expect(fields.waitMs).toBeGreaterThanOrEqual(55);
		expect(text).toMatch(/channel kept:a/);
		const scrape = new Scrape(await server.control.metrics());
		expect(scrape.sum("shardcast_slow_messages_total")).toBe(1);
		expect(scrape.sum("shardcast_trace_spans_total", { result: "exported" })).toBeGreaterThan(5);

		server.control.reload({ traceSample: 0, traceTags: false, slowMessageMs: 0 });
		lines.length = 0;
		void server.publish('"s2"', { channel: "kept:a" });
		const againUntilMs = performance.now() + 60;
		while (performance.now() < againUntilMs);
		expect((await arrived("s2"))!.tags).toBeUndefined();
		expect(lines).toEqual([]);
	});
});

describe("a collector that hangs or is away", () => {
	it("delays no message and no stop; the log says so once, and the metrics count", async () => {
		const collector = await OtlpCollector.start();
		collector.hangs = true;
		const away = `http://127.0.0.1:${await freePorts()}`;
		const rigs = await Promise.all(
			[collector.url, away].map(async (otlpEndpoint) => {
				const lines: string[] = [];
				const log = logTo((_, text) => lines.push(text));
				const server = createServer({ addr: "127.0.0.1:0", otlpEndpoint, traceSample: 1 }, { log, statusLine: false });
				await server.run();
				const socket = new WebSocket(server.url);
				const got: string[] = [];
				socket.on("message", (data) => got.push(String(data)));
				await new Promise((resolve) => socket.once("open", resolve));
				return { server, socket, got, lines };
			}),
		);
		const [hanging, refusing] = rigs as [(typeof rigs)[0], (typeof rigs)[0]];
		const texts = Array.from({ length: 900 }, (_, index) => `${index}`);
		for (const { server } of rigs) for (const text of texts) await server.publish(text);
		for (const { got } of rigs) await waitFor(() => got.length === texts.length, { deadlineMs, what: "all messages" });
		for (const { got } of rigs) expect(got).toEqual(texts);
		await waitFor(() => collector.headers.length > 0 && refusing.lines.length > 0, { deadlineMs, what: "an attempt to export" });
		const spans = 3 * texts.length;
		const counts = async ({ server }: (typeof rigs)[0]) => {
			const scrape = new Scrape(await server.control.metrics());
			return scrape.sum("shardcast_trace_waiting_spans");
		};
		expect(await counts(hanging)).toBe(spans);
		await waitFor(
			async () => new Scrape(await refusing.server.control.metrics()).sum("shardcast_trace_requests_total", { result: "unreachable" }) >= 2,
			{
				...{ deadlineMs, what: "a second attempt" },
			},
		);
		expect(refusing.lines.filter((line) => line.includes("traces cannot be exported"))).toHaveLength(1);
		const beganMs = performance.now();
		await Promise.all(rigs.map(({ server }) => server.shutdown(5000)));
		expect(performance.now() - beganMs).toBeLessThan(4000);
		await collector.close();
	});
});
