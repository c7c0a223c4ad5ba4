import { Namespaces } from "@shardcast/channels";
import { defaultConfig } from "@shardcast/config";
import type { Ask } from "@shardcast/control";
import type { HttpRequest, Reply } from "@shardcast/http";
import { describe, expect, it } from "vitest";
import { ApiAccess } from "../../src/http/api-access.ts";
import { ServerApi } from "../../src/http/server-api.ts";

const plain = defaultConfig().channelWithoutNamespace;

function setup(answer: unknown = 1, key: string | null = "a-secret-key") {
	const texts: string[] = [];
	const asked: { name: string; request: unknown }[] = [];
	const ask: Ask = async (question, request) => {
		asked.push({ name: question.name, request });
		if (answer instanceof Error) throw answer;
		return answer as never;
	};
	const namespaces = new Namespaces({ ...defaultConfig(), channelNamespaces: [{ ...plain, name: "chat", presence: true }] });
	const access = new ApiAccess({ config: defaultConfig({ apiKey: key ?? undefined }) });
	const api = new ServerApi({ namespaces: () => namespaces, access, ask });
	const post = async (method: string, body: unknown, given = "a-secret-key") => {
		const route = api.routes.find(({ path }) => path === `/api/${method}`)!;
		const request: HttpRequest = {
			method: "POST",
			path: route.path,
			query: "",
			address: "",
			header: (name) => (name === "x-api-key" ? given : ""),
		};
		const begun = route.begin(request);
		const text = typeof body === "string" ? body : JSON.stringify(body);
		const reply = (typeof begun === "function" ? await begun(Buffer.from(text)) : begun) as Reply;
		texts.push(Buffer.from(reply.body as string).toString());
		return { status: reply.status, body: JSON.parse(Buffer.from(reply.body as string).toString()) as unknown };
	};
	return { asked, texts, post };
}

describe("orders", () => {
	it("go to all shards, and are answered with an empty result", async () => {
		const { asked, post } = setup();
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
		["presence that is not kept", "presence", { channel: "news" }, 108],
		["presence_stats of no namespace", "presence_stats", { channel: "no:where" }, 102],
	])("%s: status 200 and an error", async (_what, method, body, code) => {
		const { asked, post } = setup();
		expect(await post(method, body)).toMatchObject({ status: 200, body: { error: { code } } });
		expect(asked).toEqual([]);
	});

	it("no JSON: 400; no answer from the shards: error 100", async () => {
		expect(await setup().post("disconnect", "{")).toMatchObject({ status: 400 });
		expect(await setup(new Error("too late")).post("disconnect", { user: "ann" })).toMatchObject({
			status: 200,
			body: { error: { code: 100, message: "internal server error: too late" } },
		});
	});

	it("without the key: 401; where there is none: 403, to everybody", async () => {
		expect(await setup().post("disconnect", { user: "ann" }, "another")).toMatchObject({ status: 401 });
		expect(await setup(1, null).post("disconnect", { user: "ann" })).toMatchObject({ status: 403 });
	});
});

it("presence and presence_stats answer as the protocol does", async () => {
	const present = { client: "c", user: "ann", info: '{"n":1e400}' };
	const { post, texts } = setup([present]);
	expect((await post("presence", { channel: "chat:1" })).status).toBe(200);
	expect(texts).toEqual(['{"result":{"presence":{"c":{"user":"ann","client":"c","conn_info":{"n":1e400}}}}}\n']);
	expect(await setup({ clients: 3, users: 2 }).post("presence_stats", { channel: "chat:1" })).toEqual({
		status: 200,
		body: { result: { num_clients: 3, num_users: 2 } },
	});
});
