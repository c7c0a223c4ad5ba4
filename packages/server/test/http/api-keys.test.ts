import { type Config, defaultConfig } from "@shardcast/config";
import type { HttpRequest } from "@shardcast/http";
import { describe, expect, it } from "vitest";
import { ApiAccess } from "../../src/http/api-access.ts";
import { ApiKey } from "../../src/http/api-keys.ts";

describe("a key for some channels", () => {
	it.each([
		[["orders:*"], "orders:1", true],
		[["orders:*"], "news", false],
		[["*"], "news", true],
		[["*"], "", false],
		[[], "", true],
	] as const)("%j: to %j %s", (channels, channel, expected) => {
		expect(new ApiKey("billing", [], channels).allowsChannel(channel)).toBe(expected);
	});
});

describe("requests", () => {
	const request = (key: string) => ({ header: (name: string) => (name === "x-api-key" ? key : "") }) as HttpRequest;
	const keys = (names: readonly string[]): Config["apiKeys"] =>
		names.map((name) => ({ name, key: `key-of-${name}`, formerKey: undefined, methods: [], channels: ["orders:*"] }));

	it("are counted by key, and refused ones by reason", () => {
		const access = new ApiAccess({ config: defaultConfig({ apiKeys: keys(["billing"]) }) });
		const key = access.publisher(request("key-of-billing")) as ApiKey;
		expect(key).toBeInstanceOf(ApiKey);
		expect(access.refuseChannel(key)).toMatchObject({ status: 403 });
		expect(access.publisher(request("another"))).toMatchObject({ status: 401 });
		expect(access.counts).toEqual({ requests: { billing: 1 }, refused: { unauthorized: 1, forbidden: 1 } });
	});

	it("with more than 1000 keys, over many reloads, are served, but counted without their names", { tags: ["long"] }, () => {
		let config = defaultConfig({ apiKeys: [] });
		const access = new ApiAccess({
			get config() {
				return config;
			},
		});
		for (let number = 0; number < 1010; number++) {
			config = defaultConfig({ apiKeys: keys([`key${number}`]) });
			expect(access.keyFor(request(`key-of-key${number}`), "publish")).toBeInstanceOf(ApiKey);
		}
		expect(Object.keys(access.counts.requests)).toHaveLength(1000);
	});
});
