import { apiMethods, type Config, defaultConfig } from "@shardcast/config";
import type { HttpRequest } from "@shardcast/http";
import { describe, expect, it } from "vitest";
import { ApiAccess } from "../../src/http/api-access.ts";
import { serverApi } from "../support/server-api.ts";

describe("methods about users", () => {
	it("reach all shards, and return an empty result", async () => {
		const { asked, post } = serverApi();
		const done = { status: 200, body: { result: {} } };
		expect(await post("subscribe", { user: "ann", channel: "chat:1", info: { x: 1 }, b64data: "WzFd", expire_at: 7 })).toEqual(done);
		expect(await post("unsubscribe", { user: "ann", channel: "chat:1", client: "c" })).toEqual(done);
		expect(await post("disconnect", { user: "ann" })).toEqual(done);
		expect(await post("disconnect", { user: "ann", disconnect: { code: 4000, reason: "bye" } })).toEqual(done);
		expect(asked).toEqual([
			{ name: "subscribe", request: { user: "ann", channel: "chat:1", info: '{"x":1}', data: "[1]", expireAt: 7 } },
			{ name: "unsubscribe", request: { user: "ann", channel: "chat:1", client: "c" } },
			{ name: "disconnect", request: { user: "ann", code: 3503, reason: "force disconnect" } },
			{ name: "disconnect", request: { user: "ann", code: 4000, reason: "bye" } },
		]);
	});

	it.each<[string, string, unknown, number]>([
		["no user", "subscribe", { channel: "chat:1" }, 107],
		["no channel", "subscribe", { user: "ann" }, 107],
		["a namespace that does not exist", "subscribe", { user: "ann", channel: "no:where" }, 102],
		["no channel to unsubscribe from", "unsubscribe", { user: "ann" }, 107],
		["a list", "disconnect", [], 107],
		["a code that no connection is closed with", "disconnect", { user: "ann", disconnect: { code: 1000 } }, 107],
		["a reason that is no text", "disconnect", { user: "ann", disconnect: { code: 4000, reason: 7 } }, 107],
		["information longer than a token may have", "subscribe", { user: "ann", channel: "chat:1", info: "x".repeat(16_383) }, 107],
		["the same in Base64", "subscribe", { user: "ann", channel: "chat:1", b64info: btoa("x".repeat(16_385)) }, 107],
		["a user who is no text", "disconnect", { user: 7 }, 107],
		["a user id of 256 bytes", "block_user", `{"user":"${"x".repeat(256)}"}`, 107],
		["a user id of 256 bytes", "unblock_user", `{"user":"${"x".repeat(256)}"}`, 107],
		["a user id of 256 bytes", "invalidate_user_tokens", `{"user":"${"x".repeat(256)}","issued_before":1}`, 107],
		["a user id of 128 characters in 256 bytes", "disconnect", `{"user":"${"ä".repeat(128)}"}`, 107],
		["a user id of 256 bytes", "connections", `{"user":"${"x".repeat(256)}"}`, 107],
		["a time that is no finite number", "block_user", '{"user":"ann","expire_at":1e400}', 107],
		["a time of issue that is none", "invalidate_user_tokens", '{"user":"ann","issued_before":1e400}', 107],
		["presence that is not kept", "presence", { channel: "news" }, 108],
		["presence_stats of no namespace", "presence_stats", { channel: "no:where" }, 102],
	])("%s: status 200 and an error", async (_what, method, body, code) => {
		const { asked, post } = serverApi();
		expect(await post(method, body)).toMatchObject({ status: 200, body: { error: { code } } });
		expect(asked).toEqual([]);
	});

	it("writes an audit line for each change of who is blocked: by which key, and whether it is in force", async () => {
		const keys = [{ name: "support", key: "another-secret-key", formerKey: undefined, methods: [], channels: [] }];
		const { audited, post } = serverApi("written", "a-secret-key", keys as never);
		const at = { audit: "revocation", address: "", outcome: "done" };
		await post("block_user", { user: "ann" }, "another-secret-key");
		await post("unblock_user", { user: "ann" });
		await post("revoke_token", { uid: "t1" });
		await post("invalidate_user_tokens", { user: "bob", issued_before: 5 });
		await post("disconnect", { user: "ann" });
		expect(audited).toEqual([
			{ ...at, method: "block_user", kind: "user", id: "ann", key: "support" },
			{ ...at, method: "unblock_user", kind: "user", id: "ann", key: "http_api.key" },
			{ ...at, method: "revoke_token", kind: "token", id: "t1", key: "http_api.key" },
			{ ...at, method: "invalidate_user_tokens", kind: "user_tokens", id: "bob", key: "http_api.key" },
		]);
		const failing = serverApi(new Error("too late"));
		await failing.post("block_user", { user: "ann" });
		expect(failing.audited).toMatchObject([{ method: "block_user", outcome: "internal server error: too late" }]);
	});

	it("400 without JSON; error 100 without an answer from the shards", async () => {
		expect(await serverApi().post("disconnect", "{")).toMatchObject({ status: 400 });
		expect(await serverApi(new Error("too late")).post("disconnect", { user: "ann" })).toMatchObject({
			status: 200,
			body: { error: { code: 100, message: "internal server error: too late" } },
		});
	});

	it("401 without the key; 403 for everybody where no key is configured", async () => {
		expect(await serverApi().post("disconnect", { user: "ann" }, "another")).toMatchObject({ status: 401 });
		expect(await serverApi(1, null).post("disconnect", { user: "ann" })).toMatchObject({ status: 403 });
	});
});

it("presence and presence_stats answer as the protocol does", async () => {
	const present = { client: "c", user: "ann", info: '{"n":1e400}' };
	const { post, texts } = serverApi([present]);
	expect((await post("presence", { channel: "chat:1" })).status).toBe(200);
	expect(texts).toEqual(['{"result":{"presence":{"c":{"user":"ann","client":"c","conn_info":{"n":1e400}}}}}\n']);
	expect(await serverApi({ clients: 3, users: 2 }).post("presence_stats", { channel: "chat:1" })).toEqual({
		status: 200,
		body: { result: { num_clients: 3, num_users: 2 } },
	});
});

describe("methods about users, with Centrifugo's other fields,", () => {
	it("are passed on to the shards", async () => {
		const { asked, post } = serverApi();
		const done = { status: 200, body: { result: {} } };
		const since = { offset: 3, epoch: "x" };
		const override = { presence: { value: true } };
		expect(await post("subscribe", { user: "ann", session: "s", channel: "chat:1", recover_since: since, override })).toEqual(done);
		expect(await post("disconnect", { user: "ann", whitelist: ["c1"] })).toEqual(done);
		expect(await post("refresh", { user: "ann", client: "c", expire_at: 9, info: { a: 1 } })).toEqual(done);
		expect(await post("refresh", { user: "ann", expired: true })).toEqual(done);
		expect(asked.map(({ request }) => request)).toEqual([
			{ user: "ann", session: "s", channel: "chat:1", recoverSince: since, override: { presence: true } },
			{ user: "ann", code: 3503, reason: "force disconnect", whitelist: ["c1"] },
			{ user: "ann", client: "c", expired: false, expireAt: 9, info: '{"a":1}' },
			{ user: "ann", expired: true },
		]);
	});
});

describe("broadcast and batch", () => {
	it("broadcast publishes the payload byte for byte, and answers for each channel in order", async () => {
		const { post, published } = serverApi();
		const body = '{"channels":["kept","full","a"],"data":{"n":1e400},"idempotency_key":"k","skip_history":true}';
		expect(await post("broadcast", body)).toEqual({
			status: 200,
			body: {
				result: {
					responses: [
						{ result: { offset: 7, epoch: "e" } },
						{ error: { code: 111, message: "too many requests: the bus is full" } },
						{ result: {} },
					],
				},
			},
		});
		expect(published.map(({ text }) => text)).toEqual(['{"n":1e400}', '{"n":1e400}', '{"n":1e400}']);
		expect(published[0]!.details).toMatchObject({ idempotencyKey: "k", skipHistory: true });
	});

	it.each([false, true])("batch: in order, and one that fails does not stop the others; parallel %s", async (parallel) => {
		const { post, published } = serverApi();
		const commands = [
			{ publish: { channel: "kept", data: 1 } },
			{ publish: { channel: "a", data: "x".repeat(101) } },
			{ nothing: {} },
			{ publish: {} },
			{ unsubscribe: { user: "ann", channel: "a" } },
			{ broadcast: { channels: ["b"], b64data: "WzFd" } },
		];
		expect(await post("batch", { commands, parallel })).toMatchObject({
			status: 200,
			body: {
				replies: [
					{ publish: { offset: 7, epoch: "e" } },
					{ error: { code: 106 } },
					{ error: { code: 104 } },
					{ error: { code: 107 } },
					{ unsubscribe: {} },
					{ broadcast: { responses: [{ result: {} }] } },
				],
			},
		});
		expect(published.map(({ channels, text }) => [...channels, text])).toEqual([
			["kept", "1"],
			["b", "[1]"],
		]);
	});

	it("a batch has at most 1000 commands, and a request at most 1000 publications", async () => {
		const { post, published } = serverApi();
		const commands = (count: number) => Array.from({ length: count }, () => ({ unsubscribe: { user: "ann", channel: "a" } }));
		expect(await post("batch", { commands: commands(1000) })).toMatchObject({ status: 200, body: { replies: expect.any(Array) } });
		expect(await post("batch", { commands: commands(1001) })).toMatchObject({ body: { error: { code: 106 } } });
		const channels = (count: number) => Array.from({ length: count }, (_, index) => `c${index}`);
		const both = [
			{ broadcast: { channels: channels(999), data: 1 } },
			{ broadcast: { channels: channels(2), data: 1 } },
			{ publish: { channel: "a", data: 1 } },
		];
		expect(await post("batch", { commands: both })).toMatchObject({
			body: { replies: [{ broadcast: {} }, { error: { code: 106 } }, { publish: {} }] },
		});
		expect(published).toHaveLength(1000);
	});
});

describe("history and history_remove", () => {
	it("work on any shard", async () => {
		const { post, log, texts } = serverApi();
		const history = { size: 10, ttlMs: 60_000, metaTtlMs: 60_000 };
		for (const text of ['{"n":1e400}', "2", "3"]) log.publish("chat:1", Buffer.from(text), { history });
		const { epoch } = log.position("chat:1")!;
		expect((await post("history", { channel: "chat:1", limit: -1 })).status).toBe(200);
		expect(texts[0]).toBe(
			`{"result":{"publications":[{"data":{"n":1e400},"offset":1},{"data":2,"offset":2}],"epoch":"${epoch}","offset":3}}\n`,
		);
		const since = { offset: 2, epoch };
		expect(await post("history", { channel: "chat:1", limit: 1, since })).toMatchObject({
			body: { result: { publications: [{ data: 3 }] } },
		});
		expect(await post("history_remove", { channel: "chat:1" })).toEqual({ status: 200, body: { result: {} } });
		expect(await post("history", { channel: "chat:1", limit: 1 })).toEqual({
			status: 200,
			body: { result: { publications: [], epoch, offset: 3 } },
		});
		expect(await post("history", { channel: "chat:1", since: { offset: 1, epoch: "other" } })).toMatchObject({
			body: { error: { code: 112 } },
		});
		expect(await post("history", { channel: "news" })).toMatchObject({ body: { error: { code: 108 } } });
	});
});

describe("the cluster", () => {
	it("channels, connections and info have Centrifugo's shapes", async () => {
		expect(await serverApi({ a: 2, b: 1 }).post("channels", {})).toEqual({
			status: 200,
			body: { result: { channels: { a: { num_clients: 2 }, b: { num_clients: 1 } } } },
		});
		const connection = { client: "c", user: "ann", transport: "websocket", protocol: "json", channels: ["a"] };
		expect(await serverApi([connection]).post("connections", { user: "ann" })).toEqual({
			status: 200,
			body: { result: { connections: { c: { user: "ann", transport: "websocket", protocol: "json", state: { channels: { a: {} } } } } } },
		});
		const node = { uid: "7", name: "shard-0", version: "1", clients: 3, users: 2, subscriptions: 4, channels: 1, uptime: 5 };
		expect(await serverApi([node]).post("info", "")).toEqual({
			status: 200,
			body: {
				result: {
					nodes: [{ uid: "7", name: "shard-0", version: "1", num_clients: 3, num_users: 2, num_subs: 4, num_channels: 1, uptime: 5 }],
				},
			},
		});
		expect(await serverApi(null).post("channels", {})).toMatchObject({ body: { error: { code: 106 } } });
	});
});

it("X-Centrifugo-Error-Mode: transport reports the error in the status as well", async () => {
	const mode = { "x-centrifugo-error-mode": "transport" };
	const post = (method: string, body: unknown, answer?: unknown) => serverApi(answer).post(method, body, undefined, mode);
	expect(await post("subscribe", { user: "ann", channel: "no:where" })).toMatchObject({ status: 404, body: { error: { code: 102 } } });
	expect(await post("disconnect", {})).toMatchObject({ status: 400, body: { error: { code: 107 } } });
	expect(await post("info", {}, new Error("late"))).toMatchObject({ status: 500, body: { error: { code: 100 } } });
});

it("a draining shard accepts no new request", async () => {
	const { api, post } = serverApi();
	api.drain();
	expect(await post("info", {})).toMatchObject({ status: 503 });
});

describe("keys with permissions", () => {
	const plainKey = { formerKey: undefined, methods: [], channels: [] };
	const keys: Config["apiKeys"] = [
		{ ...plainKey, name: "all", key: "key-of-all", formerKey: "former-key-of-all" },
		{ ...plainKey, name: "reader", key: "key-of-reader", methods: ["history", "presence_stats"] },
		{ ...plainKey, name: "chats", key: "key-of-chats", channels: ["chat:*"] },
	];
	const allowed = async (key: string, method: string, body: object) =>
		(await serverApi({ clients: 0, users: 0 }, null, keys).post(method, body, key)).status;

	it("both keys of a rotation are valid; another is 401", async () => {
		for (const [key, status] of [
			["key-of-all", 200],
			["former-key-of-all", 200],
			["key-of-al", 401],
			["", 401],
		] as const)
			expect(await allowed(key, "disconnect", { user: "ann" }), key).toBe(status);
	});

	it("a method or a channel that the key does not permit is 403; in a batch it is error 103 of that command", async () => {
		expect(await allowed("key-of-reader", "history", { channel: "chat:1" })).toBe(200);
		expect(await allowed("key-of-reader", "disconnect", { user: "ann" })).toBe(403);
		expect(await allowed("key-of-chats", "history", { channel: "chat:1" })).toBe(200);
		expect(await allowed("key-of-chats", "history", { channel: "news" })).toBe(403);
		expect(await allowed("key-of-chats", "broadcast", { channels: ["chat:1", "news"], data: 1 })).toBe(403);
		// Not about channels.
		expect(await allowed("key-of-chats", "disconnect", { user: "ann" })).toBe(403);
		const { post, access, published } = serverApi(1, null, keys);
		const commands = [
			{ publish: { channel: "chat:1", data: 1 } },
			{ publish: { channel: "news", data: 1 } },
			{ publish: { data: 1 } },
			{ info: {} },
		];
		expect(await post("batch", { commands }, "key-of-chats")).toMatchObject({
			status: 200,
			body: { replies: [{ publish: {} }, { error: { code: 103 } }, { error: { code: 103 } }, { error: { code: 103 } }] },
		});
		expect(published).toHaveLength(1);
		await post("info", {}, "no-key-at-all");
		await post("info", {}, "key-of-reader");
		expect(access.counts).toEqual({ requests: { all: 0, reader: 1, chats: 1 }, refused: { unauthorized: 1, forbidden: 1 } });
	});

	it("channels lists those that the key permits", async () => {
		const { post } = serverApi({ "chat:1": 1, news: 2 }, null, keys);
		expect(await post("channels", {}, "key-of-chats")).toEqual({
			status: 200,
			body: { result: { channels: { "chat:1": { num_clients: 1 } } } },
		});
	});

	it("there is a route for each method; publish has a separate one", () => {
		const paths = serverApi().api.routes.map(({ path }) => path);
		expect([...paths, "/api/publish"].toSorted()).toEqual(
			["/api", ...[...apiMethods, "openapi.json"].map((name) => `/api/${name}`)].toSorted(),
		);
	});

	it("a reload changes the keys", async () => {
		const live = { config: defaultConfig({ apiKeys: keys }) };
		const access = new ApiAccess(live);
		const request: HttpRequest = {
			method: "POST",
			path: "",
			query: "",
			address: "",
			header: (name) => (name === "x-api-key" ? "key-of-all" : ""),
		};
		expect(access.keyFor(request, "info")).toMatchObject({ name: "all" });
		live.config = defaultConfig({ apiKeys: keys.slice(1) });
		expect(access.keyFor(request, "info")).toMatchObject({ status: 401 });
	});
});

describe("messages to connections", () => {
	it("go to a user or to all, with the data as written, and priority", async () => {
		const { direct, post, texts } = serverApi();
		await post("send_to_user", '{"user":"ann","type":"price \\u0022","data":{"n": 1e400},"priority":"high"}');
		await post("send_to_all", '{"data":"x","type":"note","priority":null}');
		await post("batch", { commands: [{ send_to_user: { user: "bob", type: "a", data: 1 } }] });
		expect(direct).toEqual([
			{ user: "ann", text: '{"type":"price \\"","payload":{"n": 1e400}}', urgent: true, nodeOnly: false },
			{ user: null, text: '{"type":"note","payload":"x"}', urgent: false, nodeOnly: false },
			{ user: "bob", text: '{"type":"a","payload":1}', urgent: false, nodeOnly: false },
		]);
		expect(texts.slice(0, 2)).toEqual(['{"result":{}}\n', '{"result":{}}\n']);
	});

	it.each<[string, string, object | string, number, string]>([
		["without a user", "send_to_user", { type: "a", data: 1 }, 107, '"user" is missing'],
		["to nobody", "send_to_user", { user: "", type: "a", data: 1 }, 107, '"user" must be a string'],
		["to a number", "send_to_user", { user: 7, type: "a", data: 1 }, 107, '"user" must be a string'],
		["to a user id of 256 bytes", "send_to_user", `{"user":"${"ä".repeat(128)}","type":"a","data":1}`, 107, "more than 255 bytes"],
		["to half a character", "send_to_user", '{"user":"\\ud800","type":"a","data":1}', 107, "not well-formed"],
		["with a user, to all", "send_to_all", { user: "ann", type: "a", data: 1 }, 107, '"user" is not known here; type, data, priority are'],
		["without a type", "send_to_all", { data: 1 }, 107, '"type" is missing'],
		["with an empty type", "send_to_all", { type: "", data: 1 }, 107, '"type" must be a string of 1 to 128 characters'],
		["with a type of 129 characters", "send_to_all", { type: "x".repeat(129), data: 1 }, 107, '"type" must be'],
		["without data", "send_to_all", { type: "a" }, 107, '"data" is missing'],
		["with another priority", "send_to_all", { type: "a", data: 1, priority: "urgent" }, 107, '"priority" must be "normal" or "high"'],
		["longer than a message may be", "send_to_all", { type: "a", data: "x".repeat(77) }, 106, "the message is 102 bytes; the most is 100"],
		["in a list", "send_to_all", "[]", 107, "it must be an object"],
		["when the bus is full", "send_to_user", { user: "full", type: "a", data: 1 }, 111, "the bus is full"],
	])("%s: an error", async (_what, method, body, code, words) => {
		const { direct, post } = serverApi();
		const reply = await post(method, body);
		expect(reply).toMatchObject({ status: 200, body: { error: { code, message: expect.stringContaining(words) } } });
		expect(direct.length).toBe(code === 111 ? 1 : 0);
	});

	it("count as publications of a request, and need a key with the method", async () => {
		const { post } = serverApi();
		const commands = Array.from({ length: 3 }, () => ({
			broadcast: { channels: Array.from({ length: 333 }, (_, at) => `c${at}`), data: 1 },
		}));
		const { body } = await post("batch", {
			commands: [...commands, ...Array.from({ length: 2 }, () => ({ send_to_all: { type: "a", data: 1 } }))],
		});
		const replies = (body as { readonly replies: readonly object[] }).replies.slice(3);
		expect(replies).toEqual([{ send_to_all: {} }, { error: expect.objectContaining({ code: 106 }) }]);
	});
});

describe("assign_session", () => {
	const known = { nodes: [{ id: "n1", address: "10.0.0.9:1", url: "ws://10.0.0.9:1", region: "eu" }] };

	it("answers with the node, and passes the metadata on as written", async () => {
		const { assigned, post } = serverApi(known);
		const session = '{"user":"ann","connection":"c","address":"10.0.0.1","metadata":{"a":[1.5]}}';
		expect(await post("assign_session", session)).toEqual({
			status: 200,
			body: { result: { node: "n1", address: "10.0.0.9:1", url: "ws://10.0.0.9:1", region: "eu", outcome: "new" } },
		});
		expect(assigned).toEqual([
			{ user: "ann", connection: "c", node: "", address: "10.0.0.1", region: "", avoid: [], metadata: '{"a":[1.5]}' },
		]);
	});

	it.each<[string, object, number, string]>([
		["without a user and a connection", {}, 107, "user and connection are missing"],
		["with a user id of 256 bytes", { user: "x".repeat(256) }, 107, "user has more than 255 bytes"],
		["with a user that is not Unicode", { user: "\ud800" }, 107, "user is not well-formed Unicode"],
		["with an address that is not Unicode", { user: "ann", address: "\ud800" }, 107, "address is not well-formed Unicode"],
		["with a key that is not known", { user: "ann", nod: "n1" }, 107, '"nod" is not known here; user, connection, node, address'],
		["with a connection of 257 characters", { connection: "x".repeat(257) }, 107, "connection has more than 256 characters"],
		["with more than 4 KiB of metadata", { user: "ann", metadata: "x".repeat(4095) }, 107, "metadata has more than 4096 bytes"],
		["for a node that is not there", { user: "ann", node: "n9" }, 107, 'there is no node "n9"'],
		["when no node can take a client", { user: "ann", region: "full" }, 108, "no node can take a client now: 2 full"],
	])("%s: an error", async (_what, session, code, words) => {
		const { post } = serverApi(known);
		expect(await post("assign_session", session)).toMatchObject({ body: { error: { code, message: expect.stringContaining(words) } } });
	});

	it("on a machine that works alone: an error", async () => {
		expect(await serverApi(null).post("assign_session", { user: "ann" })).toMatchObject({
			body: { error: { code: 108, message: expect.stringContaining("works alone") } },
		});
	});
});
