import { type Config, defaultConfig } from "@shardcast/config";
import { HeadParser } from "@shardcast/relay";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { noKey, PlacementKeys } from "../../src/pick/placement-keys.ts";

const encode = (claims: unknown) => Buffer.from(typeof claims === "string" ? claims : JSON.stringify(claims)).toString("base64url");
const token = (claims: unknown) => `${encode({ alg: "HS256" })}.${encode(claims)}.not-verified`;

function keyOf(config: Partial<Config>, target: string, headers: readonly string[] = [], address = "192.0.2.7") {
	const bytes = Buffer.from([`GET ${target} HTTP/1.1`, "Host: a", ...headers, "", ""].join("\r\n"), "utf8");
	const head = new HeadParser();
	head.parse(bytes, bytes.length);
	expect(head.problem).toBe("");
	return new PlacementKeys(defaultConfig(config)).of(head, bytes, () => address);
}
const userOf = (...given: Parameters<typeof keyOf>) => keyOf(...given).user;

describe("what places a client", () => {
	it("is nothing by default, and then nothing is read", () => {
		const keys = new PlacementKeys(defaultConfig());
		const never = () => expect.fail("it was asked for the address");
		expect(keys.of(null as never, null as never, never)).toBe(noKey);
		expect(keys.ofUnreadable(never)).toBe(noKey);
	});

	it("ip_hash: the address, in one spelling, also where the request cannot be read", () => {
		const ip: Partial<Config> = { lbStrategy: "ip_hash" };
		expect(keyOf(ip, "/?user=ann")).toEqual({ address: "192.0.2.7", user: "" });
		expect(keyOf(ip, "/", [], "::ffff:192.0.2.7").address).toBe("192.0.2.7");
		expect(keyOf(ip, "/", [], "2001:DB8:0:0::1")).toEqual(keyOf(ip, "/", [], "2001:db8::1"));
		expect(new PlacementKeys(defaultConfig(ip)).ofUnreadable(() => "192.0.2.7").address).toBe("192.0.2.7");
	});

	it("user: the user of the token, wherever that is, else ?user=", () => {
		const user: Partial<Config> = { lbAffinity: "user", rawTokenCookie: "session" };
		expect(userOf(user, `/?token=${token({ sub: "größe" })}&user=bob`)).toBe("größe");
		expect(userOf(user, "/", [`Authorization: Bearer ${token({ sub: "ann" })}`])).toBe("ann");
		expect(userOf(user, "/", [`Cookie: a=b; session="${token({ sub: "ann" })}"`])).toBe("ann");
		expect(userOf(user, "/?a=1&user=gr%C3%B6%C3%9Fe+2")).toBe("größe 2");
		expect(userOf(user, "/?connection=7")).toBe("");
		expect(userOf({ ...user, tokenUserIdClaim: "uid" }, `/?token=${token({ sub: "x", uid: "ann" })}`)).toBe("ann");
	});

	it("connection: ?connection=; hash: either, else the address", () => {
		expect(userOf({ lbAffinity: "connection" }, "/?connection=7&user=ann")).toBe("7");
		const hash: Partial<Config> = { lbAffinity: "hash" };
		expect(userOf(hash, "/?connection=7&user=ann")).toBe("ann");
		expect(userOf(hash, "/?connection=7")).toBe("7");
		expect(userOf(hash, "/")).toBe("192.0.2.7");
		expect(new PlacementKeys(defaultConfig(hash)).ofUnreadable(() => "192.0.2.7").user).toBe("192.0.2.7");
	});

	it("lbAffinityFrom: the first place in which there is something", () => {
		const from: Partial<Config> = { lbAffinity: "user", lbAffinityFrom: ["header:x-user", "cookie:sid", "query:u"] };
		const all = ["X-USER:  größe ", "Cookie: sid=two"];
		expect(userOf(from, "/?u=three&user=four", all)).toBe("größe");
		expect(userOf(from, "/?u=three", all.slice(1))).toBe("two");
		expect(userOf(from, "/?u=three")).toBe("three");
		expect(userOf(from, "/?user=four")).toBe("");
	});

	it("lbAffinityFrom: another one holds from the next connection on", () => {
		const bytes = Buffer.from("GET /?a=1&b=2 HTTP/1.1\r\nHost: a\r\n\r\n");
		const head = new HeadParser();
		head.parse(bytes, bytes.length);
		const by = (name: string) => defaultConfig({ lbAffinity: "user", lbAffinityFrom: [`query:${name}`] });
		const keys = new PlacementKeys(by("a"));
		expect(keys.of(head, bytes, () => "").user).toBe("1");
		keys.use(by("b"));
		expect(keys.of(head, bytes, () => "").user).toBe("2");
		keys.use(defaultConfig());
		expect(keys.of(head, bytes, () => "")).toBe(noKey);
	});

	it("an id of more than 255 characters is none, and of a token only short claims are read", () => {
		const user: Partial<Config> = { lbAffinity: "user" };
		expect(userOf(user, `/?user=${"a".repeat(255)}`)).toHaveLength(255);
		expect(userOf(user, `/?user=${"a".repeat(256)}`)).toBe("");
		expect(userOf(user, `/?token=${token({ sub: "a".repeat(256) })}&user=bob`), "the next place counts").toBe("bob");
		expect(userOf(user, `/?token=${token({ sub: "ann", info: "a".repeat(2900) })}`)).toBe("ann");
		expect(userOf(user, `/?token=${token({ sub: "ann", info: "a".repeat(4096) })}`)).toBe("");
	});

	it.each([
		"x",
		"a.b",
		"a.b.c",
		"..",
		`.${encode("null")}.`,
		`.${encode("[")}.`,
		token({ sub: 7 }),
		token({ sub: { a: 1 } }),
		token({}),
		token('{"__proto__": {"sub": "ann"}}'),
	])("what is no token with a user places nobody: %s", (text) => {
		expect(userOf({ lbAffinity: "user" }, `/?token=${text}`)).toBe("");
	});

	it("no request that parses breaks it", () => {
		const text = fc.stringMatching(/^[\x21-\x7e]{0,40}$/);
		const from = ["token", "cookie:a", "header:b", "query:c"];
		fc.assert(
			fc.property(text, text, text, (query, cookie, value) => {
				const config: Partial<Config> = { lbAffinity: "hash", lbAffinityFrom: from };
				const id = userOf(config, `/?token=${query}&c=${query}`, [`Cookie: a${cookie}`, `b: ${value}`]);
				expect(id.length).toBeLessThanOrEqual(255);
			}),
		);
	});
});
