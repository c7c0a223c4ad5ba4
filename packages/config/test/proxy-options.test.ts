import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeCertificate, type TestCertificate } from "@shardcast/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { ConfigError } from "../src/load/config-error.ts";
import { loadConfig } from "../src/load/load.ts";
import { configJson, formatConfig } from "../src/load/print.ts";
import { readBackendTls } from "../src/tls/backend-tls.ts";

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
		["on_failure of calls", { SHARDCAST_RPC_PROXY: JSON.stringify({ endpoint, on_failure: "allow" }) }, /on_failure/],
		["another failure", connect({ on_failure: "maybe" }), /on_failure: "maybe" is not one of auto, deny, allow/],
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

describe("certificates for backends", () => {
	let folder: string;
	let own: TestCertificate;
	let other: TestCertificate;
	const text = (file: string) => readFileSync(file, "utf8");
	const base64 = (file: string) => readFileSync(file).toString("base64");
	const connectTls = (tls: object) => connect({ enabled: true, endpoint, http: { tls: { enabled: true, ...tls } } });

	beforeAll(() => {
		folder = mkdtempSync(join(tmpdir(), "backend-tls-"));
		own = makeCertificate(folder, { name: "own" });
		other = makeCertificate(folder, { name: "other" });
	});
	afterAll(() => rmSync(folder, { recursive: true }));

	it("are PEM, PEM in Base64, or files with PEM", () => {
		const cert = text(own.certFile);
		const tls = { enabled: true, serverCa: base64(own.certFile), cert, key: own.keyFile, serverName: "b" };
		expect(readBackendTls(tls)).toEqual({ ca: cert, cert, key: text(own.keyFile), servername: "b" });
		expect(readBackendTls({ ...tls, enabled: false })).toEqual({});
	});

	it.each<[what: string, tls: () => object, message: RegExp]>([
		[
			"a missing file",
			() => ({ server_ca_pem: join(folder, "none") }),
			/http\.tls\.server_ca_pem: is not PEM, and the file that it names does not exist/,
		],
		["a folder", () => ({ server_ca_pem: folder }), /server_ca_pem: .* is not a regular file/],
		["a key in place of a certificate", () => ({ server_ca_pem: own.keyFile }), /server_ca_pem: has a private key and no certificate/],
		["a certificate without its key", () => ({ cert_pem: own.certFile }), /cert_pem: .*give cert_pem and key_pem/],
		["the key of another", () => ({ cert_pem: own.certFile, key_pem: other.keyFile }), /key_pem: can't be used with cert_pem: .*mismatch/],
	])("are refused when the options are read: %s", (_, tls, message) => {
		const mistakes = mistakesIn(connectTls(tls()));
		expect(mistakes, "one line").toHaveLength(1);
		expect(mistakes[0]).toMatch(message);
	});

	it("a private key in a form that is not known stands in no message", () => {
		const key = text(own.keyFile).replace(/-----[A-Z ]+-----|\n/g, "");
		for (const value of [key, `${base64(own.keyFile).slice(8)}`]) {
			const mistakes = mistakesIn(connectTls({ cert_pem: own.certFile, key_pem: value }));
			expect(mistakes, "one line").toHaveLength(1);
			expect(mistakes[0]).not.toContain(value.slice(0, 16));
		}
	});

	it("those of a named backend are named with its place", () => {
		const proxy = { name: "chat", endpoint, http: { tls: { enabled: true, server_ca_pem: "/none" } } };
		expect(mistakesIn(named([proxy])).join()).toMatch(/\[0\]\.http\.tls\.server_ca_pem: /);
	});
});
