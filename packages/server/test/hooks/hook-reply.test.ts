import { describe, expect, it } from "vitest";
import { type HookReply, readHookReply } from "../../src/hooks/hook-reply.ts";
import type { HookName, HookResults } from "../../src/hooks/hook-results.ts";

const read = <H extends HookName>(hook: H, reply: unknown) =>
	readHookReply(hook, Buffer.from(typeof reply === "string" ? reply : JSON.stringify(reply)));
const resultOf = <H extends HookName>(hook: H, reply: unknown): NonNullable<HookResults[H]> => {
	const answer: HookReply<H> = read(hook, reply);
	if (!("result" in answer) || answer.result === null) throw new Error("the reply has no result");
	return answer.result;
};
const text = (bytes: Uint8Array | null | undefined) => (bytes ? Buffer.from(bytes).toString() : bytes);
const base64 = (value: string) => Buffer.from(value).toString("base64");
const never = Number.POSITIVE_INFINITY;

describe("a backend's reply to connect", () => {
	it("identifies the client, and names the channels to subscribe it to", () => {
		const result = resultOf("connect", {
			result: {
				user: "42",
				expire_at: 1_900_000_000,
				info: { name: "Ann" },
				meta: { plan: "pro" },
				data: { hello: 1 },
				channels: ["news", "chat:1"],
				subs: { "chat:1": { info: { role: "admin" }, data: [1], override: { presence: { value: true }, force_recovery: {} } } },
			},
		});
		expect([result.user, result.expiresAt, text(result.info), text(result.meta), text(result.data)]).toEqual([
			"42",
			1_900_000_000,
			'{"name":"Ann"}',
			'{"plan":"pro"}',
			'{"hello":1}',
		]);
		expect([...result.subscriptions.keys()]).toEqual(["news", "chat:1"]);
		const chat = result.subscriptions.get("chat:1")!;
		expect([text(chat.info), text(chat.data), chat.override]).toEqual([
			'{"role":"admin"}',
			"[1]",
			{ presence: true, forceRecovery: false },
		]);
	});

	it("without a result leaves the client without credentials; an empty result makes it anonymous", () => {
		expect(read("connect", {})).toEqual({ result: null });
		expect(read("connect", { result: {} })).toMatchObject({ result: { user: "", expiresAt: never, info: null, data: null } });
	});
});

it("a subscription or connection that the backend does not confirm has expired", () => {
	expect(read("refresh", {})).toMatchObject({ result: { expired: true } });
	expect(read("sub_refresh", { result: { expired: true } })).toMatchObject({ result: { expired: true } });
	expect(read("refresh", { result: { expire_at: 5 } })).toMatchObject({ result: { expired: false, expiresAt: 5, info: null } });
});

it("the reply to subscribe, publish and rpc may be empty", () => {
	expect(read("subscribe", {})).toEqual({ result: { info: null, data: null, override: {}, expiresAt: never } });
	expect(read("publish", { result: null })).toEqual({ result: { data: null, details: {} } });
	expect(read("rpc", {})).toEqual({ result: { data: null } });
});

it("data is kept byte for byte, and b64data takes precedence", () => {
	const written = '{ "n": 12345678901234567890,\t"t": "\\u00e9" }';
	const result = resultOf(
		"publish",
		`{"result": {"skip_history": true, "tags": {"a": "b"}, "delta": true, "idempotency_key": "k", "data": ${written}}}`,
	);
	expect(text(result.data)).toBe(written);
	expect(result.details).toEqual({ skipHistory: true, tags: { a: "b" }, delta: true, idempotencyKey: "k" });
	expect(text(resultOf("rpc", { result: { data: 1, b64data: base64('{"a":2}') } }).data)).toBe('{"a":2}');
	expect(text(resultOf("subscribe", { result: { b64info: base64('"x"') } }).info)).toBe('"x"');
});

it("a disconnect takes precedence over an error, and an error over a result", () => {
	const [result, error, disconnect] = [{ data: 1 }, { code: 1000, message: "no", temporary: true }, { code: 4500, reason: "bye" }];
	expect(read("rpc", { result, error, disconnect })).toEqual({ disconnect: { code: 4500, reason: "bye" } });
	expect(read("rpc", { result, error })).toEqual({ error });
	expect(read("rpc", { error: { code: 400 } })).toEqual({ error: { code: 400, message: "", temporary: false } });
});

it.each<[why: string, hook: HookName, reply: unknown]>([
	["it is not a JSON object", "rpc", ""],
	["it is not a JSON object", "rpc", "<html>"],
	["it is not a JSON object", "rpc", "[]"],
	["it is not a JSON object", "rpc", '{"result":{}} x'],
	["user has more than 255 bytes", "connect", { result: { user: "x".repeat(256) } }],
	["result is not an object", "rpc", { result: "ok" }],
	["error is not an object", "rpc", { error: "no" }],
	["error.code is not an integer from 100 to 1999", "rpc", { error: { code: 99 } }],
	["error.code is not an integer from 100 to 1999", "rpc", { error: { code: 2000 } }],
	["error.temporary is neither true nor false", "rpc", { error: { code: 400, temporary: 1 } }],
	["disconnect.code is not an integer from 3000 to 4999", "rpc", { disconnect: { code: 2999 } }],
	["disconnect.code is not an integer from 3000 to 4999", "rpc", { disconnect: { code: 5000 } }],
	["disconnect.reason has more than 123 bytes", "rpc", { disconnect: { code: 4000, reason: "é".repeat(62) } }],
	["user is not a string", "connect", { result: { user: 42 } }],
	["channels is not a list of names", "connect", { result: { channels: [1] } }],
	["override.presence.value is neither true nor false", "subscribe", { result: { override: { presence: { value: 1 } } } }],
	["expire_at is not a number", "subscribe", { result: { expire_at: "soon" } }],
	["b64data is not Base64", "rpc", { result: { b64data: "*" } }],
	["skip_history is neither true nor false", "publish", { result: { skip_history: "yes" } }],
	["tags is not an object of strings", "publish", { result: { tags: { a: 1 } } }],
	["tags has more than 8192 bytes", "publish", { result: { tags: { a: "x".repeat(8185) } } }],
	["expired is neither true nor false", "refresh", { result: { expired: "yes" } }],
])("is refused: %s (%s: %j)", (why, hook, reply) => {
	expect(() => read(hook, reply)).toThrow(why);
});

it("the longest reason and the first and last codes are accepted", () => {
	const reason = "x".repeat(123);
	for (const code of [3000, 4999]) expect(read("rpc", { disconnect: { code, reason } })).toEqual({ disconnect: { code, reason } });
	for (const code of [100, 1999]) expect(read("rpc", { error: { code } })).toMatchObject({ error: { code } });
});
