import { Validator } from "@seriousme/openapi-schema-validator";
import { apiMethods } from "@shardcast/config";
import { openApiDocument } from "@shardcast/http";
import { Ajv2020 } from "ajv/dist/2020.js";
import { describe, expect, it } from "vitest";
import { serverApi } from "../support/server-api.ts";

const document = openApiDocument("1.2.3") as {
	readonly paths: Readonly<Record<string, object>>;
	readonly components: { readonly schemas: Readonly<Record<string, object>> };
};
const ajv = new Ajv2020({ strict: true, allErrors: true });
ajv.addVocabulary(["openapi", "info", "servers", "security", "paths", "components"]);
ajv.addSchema({ $id: "api", ...document });

/** What is wrong with a value; empty = nothing. */
function problems(schema: string, value: unknown): string {
	const validate = ajv.getSchema(`api#/components/schemas/${schema}`)!;
	return validate(value) === true ? "" : ajv.errorsText(validate.errors);
}

const history = { size: 10, ttlMs: 60_000, metaTtlMs: 60_000 };
const user = { user: "ann", client: "c", session: "s" };
const message = { data: { x: 1 }, tags: { a: "b" }, idempotency_key: "k", delta: true, skip_history: true, type: "hi", priority: "high" };
/** For each method a request with every field that it has, and what the shards say. */
const calls: Readonly<Record<string, { readonly request: object; readonly answer?: unknown }>> = {
	broadcast: { request: { channels: ["kept", "full", "a"], b64data: "MQ==", ...message } },
	send_to_user: { request: { user: "ann", type: "hi", data: { x: 1 }, priority: "high" } },
	send_to_all: { request: { type: "hi", data: null, priority: "normal" } },
	subscribe: {
		request: {
			...user,
			...{ channel: "chat:1", info: 1, b64info: "MQ==", data: 1, b64data: "MQ==", expire_at: 9 },
			...{ recover_since: { offset: 1, epoch: "e" }, override: { presence: { value: true } } },
		},
	},
	unsubscribe: { request: { ...user, channel: "chat:1" } },
	disconnect: { request: { ...user, whitelist: ["d"], disconnect: { code: 4000, reason: "bye" } } },
	refresh: { request: { ...user, expired: false, expire_at: 9, info: 1, b64info: "MQ==" } },
	presence: { request: { channel: "chat:1" }, answer: [{ client: "c", user: "ann", info: "1", channelInfo: "2" }] },
	presence_stats: { request: { channel: "chat:1" }, answer: { clients: 1, users: 1 } },
	history: { request: { channel: "chat:1", limit: -1, since: { offset: 0, epoch: "" }, reverse: false } },
	history_remove: { request: { channel: "chat:1" } },
	channels: { request: { pattern: "*", limit: 1, cursor: "a" }, answer: { b: 1, c: 1 } },
	connections: {
		request: { user: "ann", limit: 10, cursor: "b" },
		answer: [{ client: "c", user: "ann", transport: "sse", protocol: "json", channels: ["a"] }],
	},
	info: {
		request: {},
		answer: [{ uid: "1", name: "shard-0", version: "1", clients: 1, users: 1, subscriptions: 1, channels: 1, uptime: 1 }],
	},
	assign_session: {
		request: { user: "ann", connection: "c", node: "n1", address: "10.0.0.1", region: "eu", metadata: 1, b64metadata: "MQ==" },
		answer: { nodes: [{ id: "n1", address: "10.0.0.9:1", url: "ws://10.0.0.9:1", region: "eu" }] },
	},
	block_user: { request: { user: "ann", expire_at: 9 } },
	unblock_user: { request: { user: "ann" } },
	revoke_token: { request: { uid: "t", expire_at: 9 } },
	invalidate_user_tokens: { request: { user: "ann", issued_before: 5, expire_at: 9 } },
	batch: {
		request: { commands: [{ publish: { channel: "kept", ...message } }, { info: {} }, { history: { channel: "chat:1" } }], parallel: true },
		answer: [],
	},
};

describe("the OpenAPI document", () => {
	it("is valid, and contains each method of the server API", { tags: ["long"] }, async () => {
		const { valid, errors } = await new Validator().validate(structuredClone(document));
		expect(errors ?? []).toEqual([]);
		expect(valid).toBe(true);
		expect(Object.keys(document.paths).toSorted()).toEqual(apiMethods.map((name) => `/api/${name}`).toSorted());
		expect([...Object.keys(calls), "publish"].toSorted(), "methods that are called here").toEqual(apiMethods.toSorted());
	});

	it("is served to everybody", () => {
		const route = serverApi().api.routes.find(({ path }) => path === "/api/openapi.json")!;
		const reply = route.kind === "answer" ? route.answer({} as never) : null;
		expect(JSON.parse(String((reply as { body: string }).body))).toMatchObject({ openapi: "3.1.0", paths: document.paths });
	});

	it.each(Object.entries(calls))(
		"%s: a request with all fields, and its reply, are as described",
		async (name, { request, answer = 1 }) => {
			const { post, log } = serverApi(answer);
			log.publish("chat:1", Buffer.from("1"), { history, tags: { a: "b" } });
			expect(problems(`${name}_request`, request)).toBe("");
			const described = (document.components.schemas[`${name}_request`] as { properties: object }).properties;
			expect(Object.keys(request).toSorted(), "fields of the request").toEqual(Object.keys(described).toSorted());
			const { status, body } = await post(name, request);
			expect(status).toBe(200);
			const result = name === "batch" ? body : (body as { result: unknown }).result;
			expect(result, "it is carried out").toBeDefined();
			expect(problems(`${name}_result`, result)).toBe("");
		},
	);

	it("describes the errors", async () => {
		const { body } = await serverApi().post("disconnect", {});
		expect(problems("error", body)).toBe("");
		expect(problems("refusal", (await serverApi().post("disconnect", {}, "wrong")).body)).toBe("");
		expect(problems("disconnect_request", { user: "ann", usr: 1 }), "a field that is not there").not.toBe("");
	});
});
