import { describe, expect, it } from "vitest";
import { ConfigError, configJson, formatConfig, loadConfig } from "../src/index.ts";

const environment = (values: Readonly<Record<string, string>>) => loadConfig({ environment: values });
const mistakes = (values: Readonly<Record<string, string>>): string => {
	try {
		environment(values);
	} catch (error) {
		if (error instanceof ConfigError) return error.message;
		throw error;
	}
	return "";
};

describe("options of Redis and of the machine", () => {
	it("REDIS_URL and NODE_ID count, and the variables of shardcast count more", () => {
		const short = environment({ REDIS_URL: "redis://a", NODE_ID: "n1" });
		expect(short.config).toMatchObject({ redisAddress: "redis://a", nodeId: "n1" });
		expect(short.layers.nodeId).toEqual({ kind: "environment", name: "NODE_ID" });
		const both = environment({ REDIS_URL: "redis://a", SHARDCAST_REDIS_URL: "redis://b", NODE_ID: "n1", SHARDCAST_NODE_ID: "n2" });
		expect(both.config).toMatchObject({ redisAddress: "redis://b", nodeId: "n2" });
		expect(environment({ REDIS_URL: "", NODE_ID: "" }).config.redisAddress).toBeUndefined();
	});

	it("a password is printed nowhere, the rest of the address is", () => {
		const loaded = environment({ REDIS_URL: "redis://user:hunter2@a:7000" });
		expect(formatConfig(loaded)).toContain("# address: redis://a:7000");
		expect(formatConfig(loaded) + configJson(loaded)).not.toContain("hunter2");
		expect(mistakes({ REDIS_URL: "redis://user:hunter2@a:99999" })).toMatch(/^REDIS_URL: the value has the port 99999/);
		expect(mistakes({ REDIS_URL: "redis://user:hunter2" })).not.toContain("hunter2");
	});

	it("what does not go together is refused with the fix", () => {
		expect(mistakes({ SHARDCAST_NODE_TIMEOUT: "9s" })).toMatch(/less than two heartbeats of 5s .* give at least 10s/);
		expect(mistakes({ SHARDCAST_NODE_TIMEOUT: "10s" })).toBe("");
		expect(mistakes({ REDIS_URL: "redis://a", SHARDCAST_REDIS_TLS_CA: "/dev/null" })).toMatch(/write rediss:\/\/ in REDIS_URL/);
		expect(mistakes({ REDIS_URL: "rediss://a", SHARDCAST_REDIS_TLS_CA: "/nowhere.pem" })).toMatch(/\/nowhere\.pem does not exist/);
		expect(mistakes({ REDIS_URL: "rediss://a", SHARDCAST_REDIS_TLS_CERT: "/etc/hostname" })).toMatch(/one without the other; give both/);
		expect(mistakes({ NODE_ID: "a b" })).toMatch(/^NODE_ID: "a b" is not an id/);
		expect(mistakes({ SHARDCAST_NODE_ADDRESS: "here" })).toMatch(/is not an address/);
		expect(environment({ SHARDCAST_NODE_ADDRESS: "here:80" }).config.nodeAddress).toBe("here:80");
	});

	it.each([
		["https://n1.example.com", /^SHARDCAST_NODE_URL: "https:\/\/n1\.example\.com" is not the URL of a WebSocket server; write wss:/],
		["n1.example.com:3005", /is not the URL of a WebSocket server/],
		["wss://n1.example.com/chat", /has more than a host and a port; clients add the path themselves/],
		["wss://n1.example.com?a=b", /has more than a host and a port/],
		["wss://user:hunter2@n1.example.com", /has more than a host and a port/],
		[`wss://${"x".repeat(251)}`, /has more than a host and a port/],
	])("%s is not the URL of a node", (url, problem) => {
		expect(mistakes({ SHARDCAST_NODE_URL: url })).toMatch(problem);
	});

	it("when scale events are announced", () => {
		expect(environment({}).config).toMatchObject({
			scaleUpAt: 0.8,
			scaleDownAt: 0.3,
			scaleMinNodes: 2,
			scaleMaxNodes: 20,
			scaleHoldMs: 30_000,
		});
		expect(environment({ SHARDCAST_SCALE_UP_AT: ".75", SHARDCAST_SCALE_DOWN_AT: "0" }).config).toMatchObject({
			scaleUpAt: 0.75,
			scaleDownAt: 0,
		});
		for (const value of ["1.1", "-0.1", "80%"])
			expect(mistakes({ SHARDCAST_SCALE_UP_AT: value }), value).toMatch(/is not a number from 0 to 1/);
		expect(mistakes({ SHARDCAST_SCALE_UP_AT: "0.3", SHARDCAST_SCALE_DOWN_AT: "0.3" })).toBe(
			"SHARDCAST_SCALE_DOWN_AT: 0.3 is not below 0.3 (SHARDCAST_SCALE_UP_AT)",
		);
		expect(mistakes({ SHARDCAST_SCALE_MIN_NODES: "21" })).toMatch(/^SHARDCAST_SCALE_MIN_NODES: 21 is more than 20/);
	});

	it("how nodes are selected", () => {
		for (const url of ["", "wss://n1.example.com", "ws://[fd00::7]:3005", `wss://${"x".repeat(250)}`])
			expect(environment({ SHARDCAST_NODE_URL: url }).config.nodeUrl).toBe(url);
		const { config } = environment({});
		expect(config).toMatchObject({ nodeWeight: 1, selectStrategy: "least_connections", selectRegion: "own" });
		expect(environment({ SHARDCAST_SELECT_STRATEGY: "user_hash" }).config.selectStrategy).toBe("user_hash");
		expect(mistakes({ SHARDCAST_SELECT_STRATEGY: "hash" })).toMatch(/is not one of least_connections, .*user_hash, adaptive/);
		expect(mistakes({ SHARDCAST_NODE_WEIGHT: "0" })).toMatch(/is not a whole number from 1 to 1000/);
	});
});
