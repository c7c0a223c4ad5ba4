import { describe, expect, it } from "vitest";
import { loadConfig, parseEdgeNode } from "../src/index.ts";
import { type ConfigKey, optionOf } from "../src/options/options.ts";

const flagOf = (key: ConfigKey, raw: string) => ({ raw, layer: { kind: "flag", name: `--${optionOf(key).flag}` } }) as const;
const load = (nodes: string) => loadConfig({ flags: new Map(), file: undefined, environment: { SHARDCAST_NODES: nodes } }).config;
const problem = (nodes: string): string => {
	try {
		load(nodes);
		return "";
	} catch (error) {
		return (error as Error).message;
	}
};

describe("--nodes", () => {
	it("host, port and weight, IPv6 and names included", () => {
		expect(load("10.0.0.7:3005, [2001:db8::7]:3005=2,n3.example.com:80=1000").edgeNodes.map(parseEdgeNode)).toEqual([
			{ text: "10.0.0.7:3005", host: "10.0.0.7", port: 3005, weight: 1 },
			{ text: "[2001:db8::7]:3005", host: "2001:db8::7", port: 3005, weight: 2 },
			{ text: "n3.example.com:80", host: "n3.example.com", port: 80, weight: 1000 },
		]);
	});

	it.each(["a:1=", "a:1=0", "a:1=1001", "a:1=1.5", "a:0", ":1", "a", "a:1,a:1=2"])("refuses %s", (nodes) => {
		expect(problem(nodes)).toMatch(/^SHARDCAST_NODES: /);
	});

	it("takes at most 256", () => {
		const list = (count: number) => Array.from({ length: count }, (_, index) => `10.0.0.7:${index + 1}`).join();
		expect(load(list(256)).edgeNodes).toHaveLength(256);
		expect(problem(list(257))).toBe("SHARDCAST_NODES: there are 257 nodes; the most is 256");
	});
});

describe("TLS to the nodes", () => {
	const flags = (given: Readonly<Record<string, string>>): string => {
		try {
			const found = Object.entries(given).map(([key, value]) => [key as ConfigKey, flagOf(key as ConfigKey, value)] as const);
			loadConfig({ flags: new Map(found), file: undefined, environment: {} });
			return "";
		} catch (error) {
			return (error as Error).message;
		}
	};

	it.each([
		[{ edgeNodesTlsCa: import.meta.filename }, "--nodes-tls-ca: the nodes are not reached with TLS; set --nodes-tls"],
		[{ edgeNodesTlsName: "n.example.com" }, "--nodes-tls-name: the nodes are not reached with TLS; set --nodes-tls"],
		[
			{ edgeNodesTls: "true", edgeSendProxy: "true" },
			"--send-proxy: nodes with TLS take no PROXY header; leave it out: X-Forwarded-For names the clients' addresses",
		],
		[{ edgeNodesTls: "true", edgeNodesTlsCa: "/none.pem" }, "--nodes-tls-ca: /none.pem does not exist; name a file that does"],
		[{ edgeNodesTls: "true", edgeNodesTlsName: "a b" }, '--nodes-tls-name: "a b" is not a server name, such as nodes.example.com'],
		[{ edgeNodesTls: "true", edgeNodesTlsName: "n.example.com" }, ""],
	])("%j", (given, line) => {
		expect(flags(given)).toBe(line);
	});

	it("a file without a certificate", () => {
		expect(flags({ edgeNodesTls: "true", edgeNodesTlsCa: import.meta.filename })).toMatch(
			/^--nodes-tls-ca: .*edge-options\.test\.ts .*certificate/,
		);
	});
});
