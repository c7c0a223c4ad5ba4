import { describe, expect, it } from "vitest";
import { parseOptions, UsageError } from "../src/options.ts";
import { parseTarget, pathWithChannel, sourceAddresses } from "../src/target.ts";

const parse = (...argv: string[]) => parseOptions(argv, 20_000);
const refusal = (...argv: string[]): string => {
	try {
		parse(...argv);
	} catch (error) {
		if (error instanceof UsageError && error.exitStatus === 2) return error.message;
		throw error;
	}
	throw new Error(`${argv.join(" ")} was accepted`);
};

describe("options", () => {
	it("is the 12,000-connection broadcast by default", () => {
		expect(parse()).toMatchObject({
			connections: 12_000,
			channels: 0,
			senders: 1,
			rate: 5,
			bytes: 128,
			durationMs: 30_000,
			source: "ws",
			start: null,
		});
		expect(parse().targets).toHaveLength(1);
		expect(parse().targets[0]).toMatchObject({ host: "127.0.0.1", port: 3005, path: "/" });
	});

	it("takes several nodes, as a list or as repeated flags", () => {
		const urls = (...argv: string[]) => parse(...argv).targets.map(({ host, port }) => `${host}:${port}`);
		const nodes = ["127.0.0.1:1", "127.0.0.2:1", "127.0.0.2:2"];
		expect(urls("--url", "ws://127.0.0.1:1,ws://127.0.0.2:1", "--url", "ws://127.0.0.2:2")).toEqual(nodes);
		expect(urls("--url", "ws://127.0.0.1:3005")).toEqual(["127.0.0.1:3005"]);
		expect(parse("--start", "--shards 2", "--nodes", "10").startNodes).toBe(10);
		const list = Array.from({ length: 65 }, (_, index) => `ws://127.0.0.1:${index + 1}`);
		expect(urls("--url", list.slice(1).join())).toHaveLength(64);
		expect(refusal("--url", list.join())).toContain("names more than 64 nodes");
	});

	it("receives in processes only when one may not open as many connections", () => {
		expect(parse("--connections", "19700")).toMatchObject({ receiversAreProcesses: false });
		expect(parse("--connections", "19701", "--threads", "1")).toMatchObject({ receiversAreProcesses: true, receivers: 1 });
		expect(parse("--connections", "19702", "--threads", "1")).toMatchObject({ receiversAreProcesses: true, receivers: 2 });
		expect(parse("--connections", "100000", "--threads", "2")).toMatchObject({ receiversAreProcesses: true, receivers: 6 });
		const most = (connections: number) => parseOptions(["--connections", String(connections)], 1_300);
		expect(most(64_001).receivers).toBe(64);
		expect(() => most(64_002)).toThrow("they need 65 processes that open 1300 files each, and 64 are the most");
	});

	it("makes channels of which each message reaches --channel-size clients", () => {
		expect(parse("--scenario", "channels")).toMatchObject({ channels: 1_090, senders: 1_090 });
		expect(parse("--scenario", "channels", "--channel-size", "99", "--senders", "7")).toMatchObject({ channels: 120, senders: 7 });
	});

	it("has one channel of all for a protocol that knows channels only, and a cluster that lets its clients in", () => {
		const options = parse("--protocol", "centrifuge", "--start", "--shards 3");
		expect(options).toMatchObject({ protocol: "centrifuge", channels: 1, senders: 1, start: ["--shards", "3", "--client-insecure"] });
		expect(parse("--protocol", "centrifuge-protobuf", "--scenario", "channels").channels).toBe(1_090);
		expect(parse("--start", "--shards 3")).toMatchObject({ protocol: "raw", start: ["--shards", "3"] });
	});

	it("takes units and the flags of a cluster to start", () => {
		const options = parse("--size", "4KiB", "--duration", "1.5m", "--start", "--shards 2  --lb-mode proxy");
		expect(options).toMatchObject({ bytes: 4096, durationMs: 90_000, start: ["--shards", "2", "--lb-mode", "proxy"] });
		expect(parse("--start", "--shards=3 --kafka-route=a=b").start).toEqual(["--shards", "3", "--kafka-route", "a=b"]);
	});

	it.each([
		[["--connections", "1"], "--connections"],
		[["--connections", "12e3"], "--connections"],
		[["--connections", "30000", "--senders", "19701"], "--senders 19701: one process may open 20000 files; raise the limit (ulimit -n)"],
		[["--url", "ws://127.0.0.1:1,ws://127.0.0.1:1/x"], "names 127.0.0.1:1 twice"],
		[["--url", "ws://127.0.0.1:1", "--url", "ws://10.0.0.1:1"], "is not on this machine"],
		[["--nodes", "3"], "--nodes 3: give --start too, or name each running node with --url"],
		[["--start", "--shards 1", "--nodes", "17"], "from 1 to 16"],
		[["--connections", "10", "--senders", "10"], "--senders 10"],
		[["--connections", "10", "--scenario", "channels"], "at least 11"],
		[["--size", "27"], "28 to"],
		[["--size", "53", "--protocol", "centrifuge"], "54 to"],
		[["--protocol", "telepathy"], "--protocol"],
		[["--size", "2MiB"], "28 to"],
		[["--duration", "0"], "--duration 0"],
		[["--rate", "0"], "--rate"],
		[["--rate", "many"], "not a number of messages per second"],
		[["--duration", "30"], "has no unit; write 30s or 30ms"],
		[["--rate", "Infinity"], "--rate"],
		[["--scenario", "chaos"], "--scenario"],
		[["--source", "carrier-pigeon"], "--source"],
		[["--start", "--shards 2", "--url", "ws://127.0.0.1:1"], "--start"],
		[["--start", "--shards 2 --lb-addr :4005"], "--start <flags>' argument '--shards 2 --lb-addr :4005' is invalid. It has --lb-addr, but"],
		[["--start", "--base-port=4002"], "It has --base-port, but the load test finds free ports itself; leave it out, or"],
		[["extra"], "too many arguments"],
		[["--insecure"], "--insecure: the URL has no certificate; use wss://"],
		[["--url", "wss://127.0.0.1:1", "--ca", "/nowhere"], "It can't be read (ENOENT)"],
	])("refuses %j and says why", (argv, told) => {
		expect(refusal(...argv)).toContain(told);
	});

	it("shows help with exit status 0", () => {
		expect(() => parse("--help")).toThrow(expect.objectContaining({ exitStatus: 0, message: expect.stringContaining("--connections") }));
	});

	it("shows each default in help as one would write it", () => {
		let help = "";
		try {
			parse("--help");
		} catch (error) {
			help = (error as Error).message;
		}
		const defaults = [...help.matchAll(/\(default:\s+([^)]+)\)/g)].map(([, value]) => value);
		expect(defaults).toContain("ws://127.0.0.1:3005");
		expect(defaults).toContain("30s");
		expect(defaults.filter((value) => /[{}]|\d0{3}$/.test(value))).toEqual(["12000"]);
	});
});

describe("target", () => {
	it.each(["ws://127.0.0.1:3005", "ws://127.8.9.10:1/ws?x=1", "ws://localhost:80", "ws://[::1]:3005"])("accepts %s", (text) => {
		expect(() => parseTarget(text)).not.toThrow();
	});

	it.each([
		"ws://example.org:3005",
		"ws://10.0.0.1:3005",
		"ws://0.0.0.0:3005",
		"ws://127.0.0.1.example.org",
		"ws://127.evil.example",
		"ws://[::ffff:10.0.0.1]:1",
		"ws://localhost.example",
		"ws://user@8.8.8.8/127.0.0.1",
	])("refuses %s: only this machine is loaded", (text) => {
		expect(() => parseTarget(text)).toThrow("is not on this machine");
	});

	it("refuses what is no ws:// or wss:// URL", () => {
		expect(() => parseTarget("http://127.0.0.1")).toThrow("only ws://");
		expect(parseTarget("wss://127.0.0.1")).toMatchObject({ port: 443, httpUrl: "https://127.0.0.1:443", tls: { verify: true } });
		expect(() => parseTarget("127.0.0.1")).toThrow("is not a URL");
	});

	it("spreads clients over source addresses, none of which comes near its 28,000 ports", () => {
		const target = parseTarget("ws://127.0.0.1:3005");
		expect(sourceAddresses([target], 12_000)).toEqual(["127.0.0.2", "127.0.0.3", "127.0.0.4"]);
		expect(100_000 / sourceAddresses([target], 100_000).length).toBeLessThanOrEqual(28_000);
		expect(sourceAddresses([target, parseTarget("ws://[::1]:3005")], 12_000)).toEqual([]);
	});

	it("adds the channel to a path with and without a query", () => {
		expect(pathWithChannel("/ws", "a b")).toBe("/ws?channels=a%20b");
		expect(pathWithChannel("/?x=1", "load.7")).toBe("/?x=1&channels=load.7");
	});
});
