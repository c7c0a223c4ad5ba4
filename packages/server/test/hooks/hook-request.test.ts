import { expect, it } from "vitest";
import { forwardedBytesMax, forwardedHeaders, type HeaderRules, keptHeaders, withEmulated } from "../../src/hooks/forwarded-headers.ts";
import { type HookClient, hookRequest } from "../../src/hooks/hook-request.ts";

const client: HookClient = { client: "c1", transport: "websocket", protocol: "json", user: "42", meta: null };
const base = { client: "c1", transport: "websocket", protocol: "json" };
const parse = (body: Buffer | null) => JSON.parse(String(body));

it("a connect request has no user, and only what the client sent", () => {
	const fields = { name: "js", version: "", channels: ["news"], data: Buffer.from('{"a":1}') };
	expect(parse(hookRequest("connect", client, fields, false))).toEqual({
		...base,
		encoding: "json",
		name: "js",
		channels: ["news"],
		data: { a: 1 },
	});
	expect(parse(hookRequest("connect", client, { name: "", channels: [] }, false))).toEqual({ ...base, encoding: "json" });
});

it("later requests have the user, and meta where there is one", () => {
	const meta = Buffer.from('{"plan":"pro"}');
	expect(parse(hookRequest("subscribe", { ...client, meta }, { channel: "chat:1", token: "t" }, false))).toEqual({
		...base,
		encoding: "json",
		user: "42",
		channel: "chat:1",
		token: "t",
		meta: { plan: "pro" },
	});
});

it("data is passed on byte for byte, or as Base64", () => {
	const data = Buffer.from('{"n": 12345678901234567890}');
	expect(String(hookRequest("rpc", client, { method: "m", data }, false))).toContain(`"data":${data}`);
	const bytes = Buffer.from([0, 255]);
	expect(parse(hookRequest("publish", client, { channel: "c", data: bytes }, true))).toMatchObject({ encoding: "binary", b64data: "AP8=" });
});

it.each([['1,"user":"admin"'], ['1}, {"user":"admin"'], ["x"], ["\xff"]])(
	"data that is not JSON adds nothing to the request: %j",
	(text) => {
		expect(hookRequest("rpc", client, { method: "m", data: Buffer.from(text, "latin1") }, false)).toBe(null);
	},
);

/** What is kept of a client's headers, and what a backend gets of them. */
function forwarded(rules: HeaderRules, given: Record<string, string>, emulated: Record<string, string> = {}) {
	const kept = keptHeaders(new Set(rules.ofRequest), (name) => given[name] ?? "");
	return forwardedHeaders(rules, withEmulated(kept, new Set(rules.emulated), new Map(Object.entries(emulated))));
}

it("a backend gets only listed headers: those of the request take precedence over emulated ones, and both over fixed ones", () => {
	const rules = {
		ofRequest: ["cookie", "authorization"],
		emulated: ["authorization", "x-page"],
		fixed: { "x-page": "server", "x-key": "k" },
	};
	const given = { cookie: "a=1", "x-secret": "s", "x-page": "not listed" };
	const emulated = { Authorization: "Bearer page", cookie: "forged", "X-Other": "o" };
	expect(forwarded(rules, given, emulated)).toEqual({
		cookie: "a=1",
		authorization: "Bearer page",
		"x-page": "server",
		"x-key": "k",
	});
	expect(forwarded(rules, { authorization: "Bearer real" }, { authorization: "Bearer page", "x-page": "p" })).toEqual({
		authorization: "Bearer real",
		"x-page": "p",
		"x-key": "k",
	});
});

it("a value that could inject a header or end the request is left out", () => {
	expect(forwarded({ ofRequest: [], emulated: ["x-a"], fixed: {} }, {}, { "x-a": "1\r\nx-b: 2" })).toEqual({});
});

it("emulated headers are sent as UTF-8", () => {
	const { "x-a": sent = "" } = forwarded(
		{ ofRequest: [], emulated: ["x-a"], fixed: { "x-a": "of the server" } },
		{},
		{ "x-a": "José 日本" },
	)!;
	expect(Buffer.from(sent, "latin1").toString()).toBe("José 日本");
});

it("headers up to 8 KiB are forwarded; longer ones are neither forwarded in part nor kept", () => {
	const rules = { ofRequest: ["a"], emulated: ["b"], fixed: {} };
	const a = "x".repeat(forwardedBytesMax - 3);
	expect(forwarded(rules, { a }, { b: "y" })).toEqual({ a, b: "y" });
	expect(forwarded(rules, { a }, { b: "yy" })).toBe(null);
	expect(keptHeaders(new Set(["a"]), () => `${a}xxx`)).toMatchObject({ ofRequest: new Map(), areTooLong: true });
});
