import { describe, expect, it } from "vitest";
import { emptyResult } from "../src/load-test.ts";
import { withoutSecrets } from "../src/machine.ts";
import { parseOptions, UsageError } from "../src/options.ts";
import { parseTarget, pathWithChannel, sourceAddresses, withAddresses } from "../src/target.ts";

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

	it("has stages of clients and of the rate, which last equally long", () => {
		const options = parse("--ramp", "10-100:10s,100-20:5s,50:5s", "--ramp-rate", "0-50:5s");
		expect(options).toMatchObject({ durationMs: 20_000, senders: 1 });
		expect(options.rateStages).toEqual([
			{ from: 0, to: 50, ms: 5_000 },
			{ from: 50, to: 50, ms: 15_000 },
		]);
		// The sender, 99 others, and 30 more.
		expect(options.connections).toBe(130);
		expect(parse("--ramp-rate", "5-10:4s")).toMatchObject({ connections: 12_000, clientStages: null, durationMs: 4_000 });
		expect(parse("--ramp", "0-220:1s", "--scenario", "channels")).toMatchObject({ channels: 20, senders: 20, connections: 220 });
		expect(parse()).toMatchObject({ clientStages: null, rateStages: null, durationMs: 30_000 });
	});

	it("loads another machine only when that is said", () => {
		const [target] = parse("--url", "wss://chat.example.org:8443/ws", "--allow-remote").targets;
		expect(target).toMatchObject({
			host: "chat.example.org",
			name: "chat.example.org",
			isLocal: false,
			httpUrl: "https://chat.example.org:8443",
		});
		expect(sourceAddresses([target], 100_000)).toEqual([]);
		expect(parse("--url", "ws://127.0.0.1:1").targets[0].isLocal).toBe(true);
	});

	it("has a place among several load tests, headers, source addresses and processes", () => {
		expect(parse("--generator", "2/3").generator).toEqual({ index: 1, count: 3 });
		expect(parse().generator).toEqual({ index: 0, count: 1 });
		expect(parse("--header", "Authorization: Bearer x:y", "--header", "X-A:1").headers).toEqual({
			Authorization: "Bearer x:y",
			"X-A": "1",
		});
		expect(parse("--source-address", "127.0.0.9, ::1").sourceAddresses).toEqual(["127.0.0.9", "::1"]);
		expect(parse("--processes", "3")).toMatchObject({ receiversAreProcesses: true, receivers: 3 });
		expect(parse("--fail-if", "p99>1s", "--fail-if", "loss>0").thresholds.map(({ figure }) => figure)).toEqual(["p99", "loss"]);
	});

	it("writes no secret into a result", () => {
		const options = parse("--url", "ws://127.0.0.1:1/ws?token=geheim", "--header", "Authorization: geheim");
		expect(options.targets[0].path).toContain("geheim");
		expect(JSON.stringify(emptyResult(options))).not.toContain("geheim");
		const command = ["--url", "ws://a/?token=geheim,ws://b/?x=geheim", "--header", "A: geheim", "--header=B: geheim"];
		expect(withoutSecrets(command)).toEqual(["--url", "ws://a/?…,ws://b/?…", "--header", "A: …", "--header=B: …"]);
	});

	it.each([
		[["--connections", "1"], "--connections"],
		[["--ramp", "0-10:30s,10"], 'It has a mistake in stage 2, at character 12: ":" and a time are missing'],
		[["--ramp", "0-10:30s", "--connections", "10"], "option '--ramp <stages>' cannot be used with option '--connections <n>'"],
		[["--ramp", "0-10:30s", "--duration", "10s"], "cannot be used with option '--duration <time>'"],
		[["--ramp-rate", "0-10:30s", "--rate", "10"], "cannot be used with option '--rate <n>'"],
		[["--ramp-rate", "0:30s"], "--ramp-rate: nothing would be sent"],
		[["--ramp", "0-1:30s"], "--ramp: there are never more than 1 clients"],
		[
			["--ramp", Array(5).fill("0-300000:1s").join(), "--ramp-timeout", "1s"],
			"--ramp: it opens 1499996 clients one after the other, and 1000000 are the most",
		],
		[["--fail-if", "p99"], "It has a mistake at character 4: one of > >= < <= is missing; write --fail-if 'p99>…', with the quotes"],
		[["--fail-if", "connect-rate<5", "--ramp", "0-10:30s"], "--fail-if connect-rate<5: with --ramp the stages say how many connect"],
		[
			["--url", "ws://10.0.0.1:1"],
			"--url: 10.0.0.1 is not on this machine (127.0.0.0/8, ::1, localhost); if the server is yours and may be loaded, add --allow-remote",
		],
		[["--allow-remote"], "--allow-remote: each --url is on this machine"],
		[["--allow-remote", "--start", "--shards 1"], "--allow-remote"],
		[["--url", "ws://10.0.0.1:1", "--allow-remote", "--connections", "90000", "--processes", "9"], "net.ipv4.ip_local_port_range"],
		[["--processes", "2", "--threads", "2"], "cannot be used with option '--threads <n>'"],
		[["--generator", "3/2"], "It is none of the places 1/2 to n/n"],
		[["--generator", "2"], "is not of the form 2/3"],
		[["--header", "Authorization"], 'It is not a header; write "Name: value"'],
		[["--header", "A: b\r\nC: d"], 'It is not a header; write "Name: value"'],
		[["--header", "Host: a"], "It sets Host, which the load test writes itself"],
		[["--source-address", "127.0.0.1,here"], 'It has "here", which is not an IP address'],
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

	it("is looked up once, and keeps its name for the server", async () => {
		const lookup = async (host: string) => {
			if (host === "nowhere.example") throw Object.assign(new Error(), { code: "ENOTFOUND" });
			return { address: "192.0.2.7" };
		};
		const targets = [parseTarget("ws://chat.example:1", true), parseTarget("ws://127.0.0.1:1")];
		const found = await withAddresses(targets, lookup);
		expect(found).toEqual([{ ...targets[0], host: "192.0.2.7" }, targets[1]]);
		expect(found[0].name).toBe("chat.example");
		await expect(withAddresses([parseTarget("ws://nowhere.example", true)], lookup)).rejects.toThrow(
			"the host nowhere.example is not known (ENOTFOUND); correct --url",
		);
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
