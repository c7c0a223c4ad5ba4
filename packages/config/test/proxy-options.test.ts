import { describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { loadConfig } from "../src/load/load.ts";
import { configJson, formatConfig } from "../src/load/print.ts";

const load = (environment: NodeJS.ProcessEnv) => loadConfig({ environment });

function mistakesIn(environment: NodeJS.ProcessEnv): readonly string[] {
	try {
		load(environment);
		return [];
	} catch (error) {
		if (error instanceof ConfigError) return error.lines;
		throw error;
	}
}

const named = (proxies: object) => ({ SHARDCAST_PROXIES: JSON.stringify(proxies) });
const connect = (fields: object) => ({ SHARDCAST_CLIENT_PROXY_CONNECT: JSON.stringify(fields) });
const endpoint = "https://backend.example/hook";

describe("options of backends", () => {
	it("have Centrifugo's names and defaults", () => {
		const { config } = load({
			...connect({ enabled: true, endpoint, http_headers: ["Cookie"], http: { static_headers: { "X-Key": "k" } } }),
			...named([{ name: "chat", endpoint, timeout: "3s" }]),
			SHARDCAST_RPC_NAMESPACES: '[{"name":"math","proxy_enabled":true,"proxy_name":"chat"}]',
		});
		expect(config.connectProxy).toMatchObject({
			enabled: true,
			endpoint,
			timeoutMs: 1000,
			httpHeaders: ["Cookie"],
			http: { staticHeaders: { "X-Key": "k" }, statusTransforms: [] },
		});
		expect(config.proxies).toMatchObject([{ name: "chat", timeoutMs: 3000 }]);
		expect(config.rpcNamespaces).toEqual([{ name: "math", proxyEnabled: true, proxyName: "chat" }]);
	});

	it("are printed without the values of headers", () => {
		const loaded = load(connect({ endpoint, http: { static_headers: { "X-Key": "swordfish" } } }));
		expect(formatConfig(loaded)).toMatch(/^ +# static_headers: set \(hidden\)$/m);
		expect(formatConfig(loaded) + configJson(loaded)).not.toContain("swordfish");
	});

	it.each<[what: string, environment: NodeJS.ProcessEnv, message: RegExp]>([
		["gRPC", connect({ endpoint: "grpc://a:1" }), /"grpc:\/\/a:1" is an address for gRPC; shardcast asks over HTTP/],
		["no URL", connect({ endpoint: "backend" }), /"backend" is not a URL/],
		["a password", connect({ endpoint: "http://me:swordfish@a" }), /"http:\/\/…@a" has a user or a password in it; send an Authorization/],
		["a header of the connection", connect({ http_headers: ["Host"] }), /http_headers: .* has Host, which belongs to one connection/],
		["no header", connect({ emulated_headers: ["a b"] }), /emulated_headers: .*a b.* has something in it that is not the name of a header/],
		["a line break", connect({ http: { static_headers: { a: "x\r\ny: 1" } } }), /static_headers\.a: .*is not the value of a header/],
		["an enabled one without an address", connect({ enabled: true }), /enabled: there is no backend to ask; give the endpoint as well/],
		[
			"a namespace without a backend",
			{ SHARDCAST_CHANNEL_WITHOUT_NAMESPACE: '{"subscribe_proxy_enabled":true}' },
			/subscribe_proxy_enabled: there is no backend to ask; give channel\.proxy\.subscribe\.endpoint/,
		],
		[
			"an unknown name",
			{ ...named([{ name: "chat", endpoint }]), SHARDCAST_RPC_NAMESPACES: '[{"name":"math","proxy_enabled":true,"proxy_name":"chats"}]' },
			/\[0\]\.proxy_enabled: there is no proxy "chats"; add it to proxies/,
		],
	])("are refused with what to write: %s", (_, environment, message) => {
		const mistakes = mistakesIn(environment);
		expect(mistakes, "one line").toHaveLength(1);
		expect(mistakes[0]).toMatch(message);
		expect(mistakes[0]).not.toContain("swordfish");
	});
});
