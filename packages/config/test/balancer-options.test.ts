import { describe, expect, it } from "vitest";
import { loadConfig, parseAffinitySource, parseRemoteShard } from "../src/index.ts";
import { type ConfigKey, optionOf } from "../src/options/options.ts";

const load = (given: Readonly<Record<string, string>>) => {
	const found = Object.entries(given).map(([key, raw]) => {
		const name = `--${optionOf(key as ConfigKey).flag}`;
		return [key as ConfigKey, { raw, layer: { kind: "flag", name } }] as const;
	});
	return loadConfig({ flags: new Map(found), file: undefined, environment: {} }).config;
};
const problem = (given: Readonly<Record<string, string>>): string => {
	try {
		load(given);
		return "";
	} catch (error) {
		return (error as Error).message;
	}
};
const certificate = { tlsCert: "/c.pem", tlsKey: "/k.pem" };

describe("how the balancer chooses shards", () => {
	it("by the fewest connections, with equal weights and without affinity, unless told otherwise", () => {
		expect(load({})).toMatchObject({ lbStrategy: "least_connections", lbWeights: [], lbAffinity: "none", lbAffinityFrom: [] });
	});

	it.each([
		[{ lbStrategy: "leastconn" }, "--lb-strategy: "],
		[{ lbWeights: "2,0" }, '--lb-weights: "0" is no weight; give whole numbers from 1 to 1000'],
		[{ lbWeights: "1001" }, "--lb-weights: "],
		[{ lbWeights: "1,2,3", shards: "2" }, "--lb-weights: there are 3 weights for 2 shards (--shards); give at most 2"],
		[
			{ lbWeights: "1,2", lbStrategy: "round_robin" },
			"--lb-weights: round_robin gives every shard the same; use weighted in --lb-strategy",
		],
		[{ lbStrategy: "weighted" }, "--lb-strategy: without weights, weighted is round_robin; give them in --lb-weights"],
		[{ lbAffinity: "region" }, "--lb-affinity: "],
		[
			{ lbAffinity: "user", ...certificate },
			"--lb-affinity: the balancer does not decrypt, so it sees no user in requests with TLS; use hash",
		],
		[{ lbAffinityFrom: "token" }, "--lb-affinity-from: nothing is looked for there; set "],
		[{ lbAffinity: "user", lbAffinityFrom: Array(9).fill("token").join() }, "--lb-affinity-from: there are 9 places; the most is 8"],
		[
			{ lbAffinity: "user", lbAffinityFrom: "body:x" },
			'--lb-affinity-from: "body:x" has "body:x", which is no place in a request; write token, query:<name>, cookie:<name> or header:<name>',
		],
		[
			{ lbAffinity: "user", lbAffinityFrom: "cookie:a b" },
			'--lb-affinity-from: "cookie:a b" has "cookie:a b", without a name of 1 to 64 letters, digits and dashes after "cookie:"',
		],
		[{ lbAffinity: "user", lbAffinityFrom: "query:" }, "--lb-affinity-from: "],
	])("%j is refused", (given, message) => {
		expect(problem(given)).toContain(message);
	});

	it("remote shards: each with its weight, 1 if none is given, 0 for no new clients; weighted needs no other weights then", () => {
		const { remoteShards } = load({ lbStrategy: "weighted", remoteShards: "10.0.0.7:3002, [2001:db8::7]:3005=4,n3.example.com:80=0" });
		expect(remoteShards.map(parseRemoteShard)).toEqual([
			{ text: "10.0.0.7:3002", host: "10.0.0.7", port: 3002, weight: 1 },
			{ text: "[2001:db8::7]:3005", host: "2001:db8::7", port: 3005, weight: 4 },
			{ text: "n3.example.com:80", host: "n3.example.com", port: 80, weight: 0 },
		]);
	});

	it.each([
		[{ remoteShards: ":3005" }, '--remote-shards: ":3005" has no host and port of a remote shard; write 10.0.0.7:3005'],
		[{ remoteShards: "a:1=1001" }, "has no weight from 0 to 1000 after"],
		[{ remoteShards: "a:1,a:1=2" }, "--remote-shards: a:1 is listed twice"],
		[
			{ remoteShards: Array.from({ length: 65 }, (_, at) => `a${at}:1`).join() },
			"--remote-shards: there are 65 remote shards; the most is 64",
		],
		[
			{ remoteShards: "a:1", lbMode: "handoff" },
			"--remote-shards: a connection can be handed over only on this machine; set --lb-mode to proxy or auto",
		],
		[{ remoteShards: "a:1", ...certificate }, "--remote-shards: the balancer does not decrypt, so it cannot pass on connections with TLS"],
		[{ remoteShards: "a:1=2", lbStrategy: "round_robin" }, "--remote-shards: round_robin gives every shard the same"],
		[{ remoteTlsCa: import.meta.filename }, "--remote-tls-ca: remote shards are not reached with TLS; set --remote-tls"],
		[{ remoteTlsName: "n.example.com" }, "--remote-tls-name: remote shards are not reached with TLS; set --remote-tls"],
		[{ remoteTls: "true", remoteSendProxy: "true" }, "--remote-send-proxy: shards with TLS take no PROXY header"],
		[{ remoteTls: "true", remoteTlsCa: "/none.pem" }, "--remote-tls-ca: /none.pem does not exist"],
	])("%j is refused", (given, message) => {
		expect(problem(given)).toContain(message);
	});

	it("hash goes with TLS: it then means the address", () => {
		expect(load({ lbAffinity: "hash", ...certificate }).lbAffinity).toBe("hash");
	});

	it("places in a request: a header's name in lower case, the others as they are", () => {
		const { lbAffinityFrom } = load({ lbAffinity: "user", lbAffinityFrom: "token, header:X-User, cookie:SID,query:u" });
		expect(lbAffinityFrom.map(parseAffinitySource)).toEqual([
			{ in: "token" },
			{ in: "header", name: "x-user" },
			{ in: "cookie", name: "SID" },
			{ in: "query", name: "u" },
		]);
	});
});
