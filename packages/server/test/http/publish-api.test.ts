import { type Config, defaultConfig } from "@shardcast/config";
import { allowedOrigins, BodyNeeded, type HttpRequest, httpErrors, type Reply, Router } from "@shardcast/http";
import { RateTable } from "@shardcast/limits";
import { Scoreboard } from "@shardcast/scoreboard";
import { type ChannelList, type PublishResult, publishAccepted, publishFull, RecordKind } from "@shardcast/wire";
import { describe, expect, it } from "vitest";
import { Handlers } from "../../src/delivery/incoming/handlers.ts";
import { Incoming } from "../../src/delivery/incoming/incoming.ts";
import type { Next } from "../../src/delivery/incoming/middleware.ts";
import { ApiAccess } from "../../src/http/api-access.ts";
import { PublishApi, type PublishApiParts } from "../../src/http/publish-api.ts";
import { PublishRate } from "../../src/limits/publish-rate.ts";

/** Values are as sent, "" when absent. */
interface Head {
	readonly method: string;
	readonly contentType: string;
	readonly contentLength: string;
	readonly authorization: string;
	readonly apiKey: string;
	readonly origin: string;
	readonly host: string;
	readonly address: string;
	readonly query?: string;
}

const requestOf = ({ method, address, query = "", ...head }: Head): HttpRequest => ({
	method,
	path: "/api/publish",
	query,
	address,
	header: (name) => head[name.replace(/^x-/, "").replace(/-(.)/g, (_, letter: string) => letter.toUpperCase()) as keyof typeof head],
});

const accessBy = (apiKey: string | undefined, auth: Partial<Config> = {}) => new ApiAccess({ config: defaultConfig({ apiKey, ...auth }) });

const json = (value: unknown): Uint8Array => Buffer.from(JSON.stringify(value));
function setup(
	changes: Partial<PublishApiParts> & { readonly origins?: readonly string[] } = {},
	result: PublishResult | Promise<PublishResult> = publishAccepted,
) {
	const published: { kind: RecordKind; channels: ChannelList; text: string; address: string }[] = [];
	const row = Scoreboard.inMemory(1).row(0);
	const clock = { ms: 0 };
	const publishApi = new PublishApi({
		incoming: {
			publish: (kind, channels, payload, { address }) => {
				if (result === publishAccepted) published.push({ kind, channels, text: Buffer.from(payload).toString(), address });
				return result;
			},
		},
		rate: new PublishRate(RateTable.inMemory(), 0),
		counters: row,
		payloadBytesMax: 100,
		access: accessBy(undefined),
		nowMs: () => clock.ms,
		...changes,
	});
	const router = new Router([publishApi.route], { allowedOrigins: allowedOrigins(changes.origins ?? []) });
	const begin = (head: Head): BodyNeeded => {
		const routed = router.route(requestOf({ ...head, contentLength: "" }));
		if (!(routed instanceof BodyNeeded)) throw new Error(JSON.stringify(routed));
		return routed;
	};
	const api = {
		bodyBytesMax: publishApi.route.bodyBytesMax,
		drain: () => publishApi.drain(),
		/** The answer for which no body is needed. */
		judge: (head: Head): Reply | null => {
			const routed = router.route(requestOf(head));
			return routed instanceof BodyNeeded ? null : (routed as Reply);
		},
		begin,
		publish: (head: Head, body: Uint8Array) => begin(head).whole(body) as Reply | Promise<Reply>,
	};
	return { api, published, row, clock };
}

const head: Head = {
	method: "POST",
	contentType: "application/json",
	contentLength: "20",
	authorization: "",
	apiKey: "",
	origin: "",
	host: "trade.example",
	address: "10.0.0.1",
};
const error = (body: Reply["body"]) => (JSON.parse(String(body)) as { error: { code: string; message: string } }).error;

describe("POST /api/publish", () => {
	it("200: accepts a message and keeps the connection", async () => {
		const { api, published } = setup();
		expect(api.judge(head)).toBeNull();
		const reply = await api.publish(head, json({ channel: "a", data: "x" }));
		expect(reply).toMatchObject({ status: 200, close: false });
		expect(JSON.parse(String(reply.body))).toEqual({ result: {} });
		expect(published).toMatchObject([{ kind: RecordKind.text, text: "x", address: "10.0.0.1" }]);
	});

	it("200: returns the position in the history, if there is one, and passes on tags and key", async () => {
		const given: unknown[] = [];
		const publish: PublishApiParts["incoming"]["publish"] = (_kind, { names }, _payload, _from, _source, details) => {
			given.push(details);
			return names[0] === "plain" ? publishAccepted : { outcome: "accepted", position: { offset: 7, epoch: "e" } };
		};
		const { api } = setup({ incoming: { publish } });
		const kept = { channel: "kept", data: 1, tags: { a: "1" }, idempotency_key: "k" };
		const reply = await api.publish(head, json(kept));
		expect(JSON.parse(String(reply.body))).toEqual({ result: { offset: 7, epoch: "e" } });
		const batch = await api.publish(head, json([{ channel: "plain", data: 1 }, kept]));
		expect(JSON.parse(String(batch.body))).toEqual({ result: { published: 2, failed: 0, results: [{}, { offset: 7, epoch: "e" }] } });
		const details = { tags: { a: "1" }, idempotencyKey: "k" };
		expect(given).toEqual([details, undefined, details]);
	});

	it("400: a message that its channel never accepts", async () => {
		const { api } = setup({}, { outcome: "invalid", detail: "it is not like that" });
		const reply = await api.publish(head, json({ data: 1 }));
		expect(reply.status).toBe(400);
		expect(error(reply.body)).toEqual({ code: "bad_request", message: "it is not like that" });
	});

	it("400: says what is wrong with the body", async () => {
		const { api, published } = setup();
		const reply = await api.publish(head, json({ nothing: 1 }));
		expect(reply.status).toBe(400);
		expect(error(reply.body)).toMatchObject({ code: "bad_request", message: expect.stringContaining('"nothing"') });
		expect(published).toEqual([]);
	});

	it.each(["chanel=a", "channels=a", "channel=a&key=b"])("400 for ?%s, which would go to everybody", (query) => {
		const { api } = setup();
		const reply = api.judge({ ...head, contentType: "application/octet-stream", query });
		expect(reply?.status).toBe(400);
		expect(error(reply!.body).message).toContain("unknown query parameter");
		expect(api.judge({ ...head, contentType: "application/octet-stream", query: "channel=a" })).toBeNull();
	});

	it("401: requires the key if one is configured, in any of three ways", () => {
		const { api } = setup({ access: accessBy("secret-key") });
		for (const wrong of [{}, { apiKey: "other" }, { authorization: "Bearer other" }, { authorization: "Bearer" }])
			expect(api.judge({ ...head, ...wrong })?.status).toBe(401);
		for (const right of [{ apiKey: "secret-key" }, { authorization: "Bearer secret-key" }, { authorization: "apikey secret-key" }])
			expect(api.judge({ ...head, ...right })).toBeNull();
	});

	it("403: the key does not permit the channel, or publishing", async () => {
		const key = { name: "chats", key: "key-of-chats", formerKey: undefined, methods: [], channels: ["chat:*"] };
		const chats = setup({ access: accessBy(undefined, { apiKeys: [key, { ...key, name: "no", key: "key-of-no", methods: ["info"] }] }) });
		const publish = async (body: unknown) => (await chats.api.publish({ ...head, apiKey: "key-of-chats" }, json(body))).status;
		expect(await publish({ channel: "chat:1", data: 1 })).toBe(200);
		expect(await publish({ channel: "news", data: 1 })).toBe(403);
		expect(await publish({ data: 1 })).toBe(403);
		expect(
			await publish([
				{ channel: "chat:1", data: 1 },
				{ channel: "news", data: 1 },
			]),
		).toBe(403);
		expect(chats.api.judge({ ...head, apiKey: "key-of-no" })?.status).toBe(403);
	});

	it("403: without a key nobody may publish where authentication is required", () => {
		const { api } = setup({ access: accessBy(undefined, { requireAuth: true }) });
		expect(api.judge({ ...head, apiKey: "anything" })?.status).toBe(403);
		expect(setup({ access: accessBy(undefined, { requireAuth: false, tokenHmacSecret: "a-secret-key" }) }).api.judge(head)).toBeNull();
	});

	it("403: refuses pages of other origins", () => {
		const open = setup().api;
		expect(open.judge(head), "a program sends no origin").toBeNull();
		for (const origin of ["http://trade.example", "https://trade.example"]) expect(open.judge({ ...head, origin }), origin).toBeNull();
		// As text/plain a browser sends it without asking first.
		for (const origin of ["https://theirs.example", "null", "http://trade.example:8080"])
			expect(open.judge({ ...head, origin, contentType: "text/plain" })?.status, origin).toBe(403);
		const { api } = setup({ origins: ["https://ours.example"] });
		expect(api.judge({ ...head, origin: "https://theirs.example" })?.status).toBe(403);
		expect(api.judge({ ...head, origin: "https://ours.example" })).toBeNull();
	});

	it("204: a preflight for an allowed page permits JSON and a key; every response to the page may be read", async () => {
		const origin = "https://ours.example";
		const { api } = setup({ origins: [origin], access: accessBy("secret-key") });
		expect(api.judge({ ...head, method: "OPTIONS", origin })).toEqual({
			status: 204,
			body: "",
			close: false,
			headers: {
				Allow: "POST, OPTIONS",
				"Access-Control-Allow-Methods": "POST",
				"Access-Control-Allow-Headers": "Content-Type, X-API-Key, Authorization",
				"Access-Control-Max-Age": "600",
				"Access-Control-Allow-Origin": origin,
				"Access-Control-Expose-Headers": "Retry-After",
				Vary: "Origin",
			},
		});
		const page = { ...head, origin };
		const answers = [
			api.judge(page),
			api.judge({ ...page, method: "GET" }),
			api.judge({ ...page, apiKey: "secret-key", contentLength: "1e9" }),
			await api.publish({ ...page, apiKey: "secret-key" }, json({ data: 1 })),
			await api.publish({ ...page, apiKey: "secret-key" }, json({})),
			api.begin({ ...page, apiKey: "secret-key" }).refuse("too_large"),
			api.begin({ ...page, apiKey: "secret-key" }).refuse("unavailable"),
		];
		expect(answers.map((answer) => answer?.status)).toEqual([401, 405, 413, 200, 400, 413, 503]);
		for (const answer of answers) expect(answer?.headers).toMatchObject({ "Access-Control-Allow-Origin": origin, Vary: "Origin" });
		// Not to others, nor to programs.
		const foreign = api.judge({ ...page, method: "OPTIONS", origin: "https://theirs.example" });
		for (const reply of [foreign, await api.publish({ ...head, apiKey: "secret-key" }, json({ data: 1 }))])
			expect(Object.keys(reply!.headers)).not.toContain("Access-Control-Allow-Origin");
		expect(api.judge({ ...head, method: "OPTIONS" })).toMatchObject({ status: 204, headers: { Allow: "POST, OPTIONS" } });
	});

	it("405: accepts only POST", () => {
		const { api } = setup();
		expect(api.judge({ ...head, method: "GET" })).toMatchObject({ status: 405, headers: { Allow: "POST, OPTIONS" } });
	});

	it("413: by Content-Length before a byte is read, and by the length of the message afterwards", async () => {
		const { api, published } = setup();
		expect(api.judge({ ...head, contentLength: String(api.bodyBytesMax + 1) })?.status).toBe(413);
		expect(api.judge({ ...head, contentLength: String(api.bodyBytesMax) })).toBeNull();
		expect((await api.publish(head, json({ data: "x".repeat(101) }))).status).toBe(413);
		expect((await api.publish(head, json({ data: "x".repeat(100) }))).status).toBe(200);
		// The longest way to write a message that is allowed still fits into a body that is allowed.
		const escaped = Buffer.from(`{"channel":"c","data":"${"\\u0001".repeat(100)}"}`);
		expect(escaped.length).toBeLessThanOrEqual(api.bodyBytesMax);
		expect((await api.publish(head, escaped)).status).toBe(200);
		expect(published).toHaveLength(2);
	});

	it("429: above the rate of one client, and when the bus is full; both with Retry-After", async () => {
		const { api, row, clock } = setup({ rate: new PublishRate(RateTable.inMemory(), 2) });
		const statuses = [];
		for (let time = 0; time < 3; time++) statuses.push((await api.publish(head, json({ data: 1 }))).status);
		expect(statuses).toEqual([200, 200, 429]);
		expect((await api.publish({ ...head, address: "10.0.0.2" }, json({ data: 1 }))).status).toBe(200);
		expect(row.get("rateLimited")).toBe(1);
		clock.ms = 500;
		expect((await api.publish(head, json({ data: 1 }))).status).toBe(200);
		expect(await setup({}, { outcome: "full" }).api.publish(head, json({ data: 1 }))).toMatchObject({
			status: 429,
			headers: { "Retry-After": "1" },
		});
	});

	it("503: when the history of the channel has no space, with Retry-After", async () => {
		const { api } = setup({}, { outcome: "full", reason: "readers" });
		expect(await api.publish(head, json({ data: 1 }))).toMatchObject({ status: 503, headers: { "Retry-After": "1" } });
	});

	it.each([
		["keys", "--idempotency-keys"],
		["memory", "no shared memory left"],
		["readers", "the history of this channel has no room now"],
	] as const)("503: says what there is no room in: %s", async (reason, what) => {
		const { api } = setup({}, { outcome: "full", reason });
		const reply = await api.publish(head, json({ data: 1 }));
		expect(reply).toMatchObject({ status: 503 });
		expect(String(reply.body)).toContain(what);
		expect(String(reply.body)).toContain("history_full");
	});

	it("413: when the history of the channel cannot hold it", async () => {
		const { api } = setup({}, { outcome: "too_large", detail: "too long for it" });
		const reply = await api.publish(head, json({ data: 1 }));
		expect(reply).toMatchObject({ status: 413 });
		expect(String(reply.body)).toContain("too long for it");
	});

	it("429: above the rate over all shards together, and for a whole IPv6 /64", async () => {
		const table = RateTable.inMemory();
		const shards = [0, 1].map(() => setup({ rate: new PublishRate(table, 5) }));
		const taken = async (address: (index: number) => string) => {
			const statuses = await Promise.all(
				Array.from(
					{ length: 20 },
					async (_, index) => (await shards[index % 2].api.publish({ ...head, address: address(index) }, json({ data: 1 }))).status,
				),
			);
			return statuses.filter((status) => status === 200).length;
		};
		expect(await taken(() => "10.0.0.1")).toBe(5);
		expect(await taken((index) => `2001:0db8:0000:0007:0000:0000:0000:${index.toString(16).padStart(4, "0")}`)).toBe(5);
		expect(await taken((index) => `2001:db8:1:${index}::1`)).toBe(20);
	});

	it("503: while it drains; a body that was already arriving is still accepted", async () => {
		const { api } = setup();
		const underWay = api.begin(head);
		api.drain();
		const reply = api.judge(head)!;
		expect(reply).toMatchObject({
			status: 503,
			close: true,
			headers: { "Retry-After": String(httpErrors.shutting_down.retryAfterSeconds) },
		});
		const { message } = httpErrors.shutting_down;
		expect(JSON.parse(String(reply.body)), "as the balancer says it").toEqual({ error: { code: "shutting_down", message } });
		expect(await underWay.whole(json({ data: 1 }))).toMatchObject({ status: 200 });
	});

	it("waits for a result that is not available yet, and passes on Kafka's answer", async () => {
		const later = (result: PublishResult) => setup({}, Promise.resolve(result)).api.publish(head, json({ data: 1 }));
		expect((await later(publishAccepted)).status).toBe(200);
		const lost = await later({ outcome: "unacknowledged", detail: "too large" });
		expect([lost.status, error(lost.body).message]).toEqual([503, "Kafka did not take it: too large"]);
	});

	describe("a batch", () => {
		const batch = (...data: unknown[]) => json(data.map((value) => ({ channel: "c", data: value })));
		const resultOf = ({ body }: Reply) =>
			JSON.parse(String(body)) as {
				error?: { code: string; message: string };
				result?: { published: number; failed: number; results: object[] };
			};

		it("200: publishes each message in order, with an entry for each; as lines as well", async () => {
			const { api, published } = setup();
			const reply = await api.publish(head, batch("a", "b", 3));
			expect(reply).toMatchObject({ status: 200, close: false });
			expect(resultOf(reply)).toEqual({ result: { published: 3, failed: 0, results: [{}, {}, {}] } });
			const lines = Buffer.from('{"data":"d"}\n{"channel":"e","data":"e"}\n');
			expect(resultOf(await api.publish({ ...head, contentType: "application/x-ndjson" }, lines)).result?.published).toBe(2);
			expect(published.map(({ text, channels }) => [text, channels.names.join()])).toEqual([
				["a", "c"],
				["b", "c"],
				["3", "c"],
				["d", ""],
				["e", "e"],
			]);
		});

		it("400 and 413: if one message is invalid or too long, or there are too many, none is published", async () => {
			const { api, published } = setup();
			const wrong = await api.publish(head, Buffer.from('[{"data":1},{"dat":2}]'));
			expect(wrong).toMatchObject({ status: 400, close: false });
			expect(error(wrong.body).message).toBe(
				'message 1: "dat" is not known here; "channel", "data", "b64data", "type", "priority", "tags", "idempotency_key", "delta" and "skip_history" are',
			);
			const long = await api.publish(head, batch("a", "b", "x".repeat(101)));
			expect(long).toMatchObject({ status: 413, close: false });
			expect(error(long.body).message).toBe("message 2: the message is 101 bytes; the most is 100");
			const many = await api.publish(head, batch(...Array.from({ length: 1001 }, () => 1)));
			expect(many).toMatchObject({ status: 413, close: false });
			expect(published).toEqual([]);
		});

		it("429: the rate counts messages; those after the first one above it are not tried", async () => {
			const { api, published, row, clock } = setup({ rate: new PublishRate(RateTable.inMemory(), 3) });
			const reply = await api.publish(head, batch(1, 2, 3, 4, 5));
			expect(reply).toMatchObject({ status: 429, close: false, headers: { "Retry-After": "1" } });
			const { error: first, result } = resultOf(reply);
			expect(first).toEqual({ code: "too_many_requests", message: expect.stringMatching(/^message 3: more messages per second/) });
			expect(result).toMatchObject({ published: 3, failed: 2 });
			expect(result?.results.map((entry) => Object.keys(entry).join())).toEqual(["", "", "", "error", "error"]);
			expect(row.get("rateLimited")).toBe(2);
			clock.ms = 1000;
			expect((await api.publish(head, batch(4, 5))).status).toBe(200);
			expect(published.map(({ text }) => text)).toEqual(["1", "2", "3", "4", "5"]);
		});

		it("429: nothing overtakes a message that found the bus full; 403: a message that a handler stopped may be overtaken", async () => {
			const tried: string[] = [];
			const outcomes: Record<string, PublishResult> = { b: { outcome: "full" }, s: { outcome: "stopped" } };
			const publish: PublishApiParts["incoming"]["publish"] = (_kind, _channels, payload) => {
				const text = Buffer.from(payload).toString();
				tried.push(text);
				return outcomes[text] ?? publishAccepted;
			};
			const { api } = setup({ incoming: { publish } });
			const full = resultOf(await api.publish(head, batch("a", "b", "c")));
			expect(full.result).toMatchObject({ published: 1, failed: 2 });
			expect(full.error?.message).toBe("message 1: the bus is full; try again");
			expect(tried.splice(0)).toEqual(["a", "b"]);
			const stopped = await api.publish(head, batch("a", "s", "c"));
			expect(stopped).toMatchObject({ status: 403, close: false });
			expect(resultOf(stopped).result).toEqual({
				published: 2,
				failed: 1,
				results: [{}, { error: { code: "forbidden", message: "a handler did not let this message through" } }, {}],
			});
			expect(tried).toEqual(["a", "s", "c"]);
		});

		const turn = () => new Promise(setImmediate);
		const waitsBefore = async (next: Next) => {
			await turn();
			await next();
		};
		const waitsAfter = async (next: Next) => {
			await next();
			await turn();
		};
		it.each([
			["before it lets them through", waitsBefore],
			["after it has let them through", waitsAfter],
		])("429: nothing overtakes such a message when a handler waits %s either", async (_when, handle) => {
			const limits = { bytesMax: 1e6, senderBytesMax: 1e6, senderMessagesMax: 1000 };
			const counters = Scoreboard.inMemory(1).row(0);
			const handlers = new Handlers({ counters, payloadBytesMax: 100, deadlineMs: 60_000, limits, onError: () => {} });
			const [seen, out]: string[][] = [[], []];
			handlers.use(({ payload }, next) => {
				seen.push(Buffer.from(payload).toString());
				return handle(next);
			});
			// There is room again at once.
			const fullOnce = new Set(["b", "e"]);
			const publish = (_kind: RecordKind, _sender: number, _channels: ChannelList, payload: Uint8Array) => {
				const text = Buffer.from(payload).toString();
				if (fullOnce.delete(text)) return publishFull;
				out.push(text);
				return publishAccepted;
			};
			const { api } = setup({
				incoming: new Incoming({
					publisher: { publish, publishOrHold: publish },
					announcer: { announce: () => true, direct: () => publishAccepted },
					handlers,
				}),
			});
			const other = api.publish(head, batch("1", "2", "3"));
			const reply = await api.publish(head, batch("a", "b", "c", "d"));
			expect(reply).toMatchObject({ status: 429, headers: { "Retry-After": "1" } });
			const { error: first, result } = resultOf(reply);
			expect(first?.message).toBe("message 1: the bus is full; try again");
			expect(result).toMatchObject({ published: 1, failed: 3 });
			expect((await other).status, "another batch goes on").toBe(200);
			const letters = (texts: string[]) => texts.filter((text) => text >= "a").join("");
			expect([letters(seen), letters(out)]).toEqual(["ab", "a"]);
			expect((await api.publish(head, batch("b", "c", "d"))).status).toBe(200);
			expect(resultOf(await api.publish(head, batch("e", "f", "g"))).result).toMatchObject({ published: 0, failed: 3 });
			expect([letters(seen), letters(out)]).toEqual(["abbcde", "abcd"]);
			expect(handlers.waiting).toBe(0);
		});

		it("503: waits for Kafka's answer to each, and keeps their order", async () => {
			const publish: PublishApiParts["incoming"]["publish"] = async (_kind, _channels, payload) =>
				Buffer.from(payload).toString() === "b" ? { outcome: "unacknowledged", detail: "too large" } : publishAccepted;
			const reply = await setup({ incoming: { publish } }).api.publish(head, batch("a", "b", "c"));
			expect(reply).toMatchObject({ status: 503, close: false });
			const { error: first, result } = resultOf(reply);
			expect(first?.message).toBe("message 1: Kafka did not take it: too large");
			expect(result).toMatchObject({ published: 2, failed: 1 });
			expect(result?.results.map((entry) => Object.keys(entry).join())).toEqual(["", "error", ""]);
		});
	});

	it("distinguishes a handler's refusal from its failure", async () => {
		expect((await setup({}, { outcome: "stopped" }).api.publish(head, json({ data: 1 }))).status).toBe(403);
		expect((await setup({}, { outcome: "failed" }).api.publish(head, json({ data: 1 }))).status).toBe(500);
	});
});
