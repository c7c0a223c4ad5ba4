import { describe, expect, it } from "vitest";
import { serverApi } from "../support/server-api.ts";

const lines = (...commands: readonly (object | string)[]) =>
	commands.map((command) => (typeof command === "string" ? command : JSON.stringify(command))).join("\n");

describe("POST /api, for older libraries", () => {
	it("runs one command", async () => {
		const { post, texts, published, asked } = serverApi();
		const body = '{"method": "publish",\n "params": {"channel": "kept", "data": {"n":1e400}}}';
		expect(await post("", body)).toEqual({ status: 200, body: [{ result: { offset: 7, epoch: "e" } }] });
		expect(published, "its payload byte for byte").toMatchObject([{ channels: ["kept"], text: '{"n":1e400}' }]);
		expect(texts[0], "a library splits the answer at line breaks: none is behind the last").toBe('{"result":{"offset":7,"epoch":"e"}}');
		expect(await post("", { id: 3, method: "DISCONNECT", params: { user: "ann" } })).toEqual({
			status: 200,
			body: [{ id: 3, result: {} }],
		});
		expect(asked).toMatchObject([{ name: "disconnect" }]);
	});

	it("runs several, one per line, in order; one that fails does not stop the others", async () => {
		const { post, published } = serverApi();
		const body = lines(
			{ method: "publish", params: { channel: "a", data: 1 } },
			"",
			{ method: "presence", params: { channel: "no:where" }, id: 2 },
			{ method: "no_such", params: {} },
			{ method: "history", params: { channel: "chat:1" } },
			{ method: "unsubscribe" },
			{ method: "publish", params: { channel: "b", data: "x" } },
			"\r",
		);
		expect(await post("", `${body}\n`)).toMatchObject({
			status: 200,
			body: [
				{ result: {} },
				{ id: 2, error: { code: 102 } },
				{ error: { code: 104 } },
				{ result: { offset: 0 } },
				{ error: { code: 107 } },
				{ result: {} },
			],
		});
		expect(published.map(({ channels, text }) => [...channels, text])).toEqual([
			["a", "1"],
			["b", "x"],
		]);
	});

	it.each<[string, string, number]>([
		["no JSON", "{", 400],
		["a line that is not JSON after one that is", lines({ method: "info" }, "{"), 400],
		["nothing", "", 107],
		["blank lines", "\n \n", 107],
		["no object", "[]", 107],
		["no method", '{"params": {}}', 107],
		["the number of a method", '{"method": 1, "params": {}}', 107],
		["an id that is none", '{"id": "x", "method": "info"}', 107],
		["params that are a list", '{"method": "publish", "params": []}', 107],
	])("with %s runs nothing", async (_what, body, problem) => {
		const { post, asked, published } = serverApi();
		const answer = await post("", body);
		expect(answer).toMatchObject(problem === 400 ? { status: 400 } : { status: 200, body: [{ error: { code: problem } }] });
		expect([asked, published]).toEqual([[], []]);
	});

	it("requires a key, which must permit each method", async () => {
		const keys = [{ name: "news", key: "k", formerKey: undefined, methods: ["publish"], channels: [] }] as const;
		const { post } = serverApi(1, "a-secret-key", keys as never);
		expect(await post("", { method: "info" }, "wrong")).toMatchObject({ status: 401 });
		const body = lines({ method: "publish", params: { channel: "a", data: 1 } }, { method: "disconnect", params: { user: "ann" } });
		expect(await post("", body, "k")).toMatchObject({ status: 200, body: [{ result: {} }, { error: { code: 103 } }] });
		expect(await serverApi(1, null).post("", { method: "info" })).toMatchObject({ status: 403 });
	});

	it("accepts at most 1000 commands", { tags: ["long"] }, async () => {
		const { post, published } = serverApi();
		const commands = (count: number) =>
			lines(...Array.from({ length: count }, () => ({ method: "publish", params: { channel: "a", data: 1 } })));
		expect(await post("", commands(1001))).toMatchObject({
			body: [{ error: { code: 106, message: expect.stringContaining("1000 commands") } }],
		});
		expect(published).toEqual([]);
		expect((await post("", commands(1000))).body).toHaveLength(1000);
		expect(published).toHaveLength(1000);
	});
});

describe("a limit of the server API is named and counted", () => {
	it("503 beyond 256 requests in progress", async () => {
		const { post, overLimit, api } = serverApi(new Promise(() => {}));
		for (let count = 0; count < 256; count++) void post("disconnect", { user: "ann" });
		expect(api.unfinished(), "requests under way").toBe(256);
		expect(await post("disconnect", { user: "ann" })).toEqual({
			status: 503,
			body: {
				error: { code: "unavailable", message: "256 requests to the server API are in progress on this shard; try again" },
			},
		});
		expect(overLimit()).toEqual({ requests: 1, replies: 0 });
	});

	it.each([
		["batch", "x"],
		["", "x"],
		["batch", "é"],
	])("beyond 16 MiB of replies, later commands get error 106 (%j, names of %s)", { tags: ["long"] }, async (method, letter) => {
		const connection = {
			client: "c",
			user: "ann",
			transport: "sse",
			protocol: "json",
			channels: [letter.repeat(4_190_000 / Buffer.byteLength(letter))],
		};
		const { post, overLimit } = serverApi([connection]);
		const names = Array.from({ length: 6 }, () => "connections");
		const body =
			method === "batch"
				? { commands: names.map((name) => ({ [name]: { user: "ann" } })) }
				: lines(...names.map((name) => ({ method: name, params: { user: "ann" } })));
		const { body: answer } = await post(method, body);
		const replies = method === "batch" ? (answer as { replies: object[] }).replies : (answer as object[]);
		expect(replies.map((reply) => "error" in reply)).toEqual([false, false, false, false, false, true]);
		expect(replies[5]).toMatchObject({ error: { code: 106, message: expect.stringContaining("16 MiB") } });
		expect(overLimit()).toEqual({ requests: 0, replies: 1 });
	});
});

it.each(["batch", "broadcast", "send_to_user", "block_user", "assign_session"])(
	"%s with a body that is not JSON: 400, and what is wrong at which byte",
	async (method) => {
		const post = async (body: string) => JSON.stringify(await serverApi().post(method, body));
		expect(await serverApi().post(method, "{")).toMatchObject({ status: 400 });
		expect(await post("{")).toContain("the body is not JSON: it ends too early, after 1 bytes");
		expect(await post("{'user': 'ann'}")).toContain("the body is not JSON: ' is not expected at byte 1");
	},
);
