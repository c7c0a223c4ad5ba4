import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { heldByKernel, parseSocketQueues } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runBench } from "../src/bench/report.ts";
import { grown, parseCounters, readCounters } from "../src/bench/tuning/kernel-counters.ts";
import { withSettings } from "../src/bench/tuning/kernel-settings.ts";
import { isInOwnNamespace, setLoopbackMtu } from "../src/bench/tuning/namespace.ts";
import { parseTuningOptions } from "../src/bench/tuning/options.ts";
import { variantTable } from "../src/bench/tuning/variant-table.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "bench-tuning-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("counters of the kernel", () => {
	const text = "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 3 70\nIpExt: InNoRoutes\nIpExt: 0\n";

	it("are read by group and name", () => {
		expect(Object.fromEntries(parseCounters(text))).toEqual({
			"TcpExt.SyncookiesSent": 3,
			"TcpExt.ListenOverflows": 70,
			"IpExt.InNoRoutes": 0,
		});
	});

	it("grow; one that does not exist is an error, not a zero", () => {
		const before = parseCounters(text);
		const after = new Map(before).set("TcpExt.ListenOverflows", 75);
		expect(grown("TcpExt.ListenOverflows", before, after)).toBe(5);
		expect(() => grown("TcpExt.ListenOverflow", before, after)).toThrow("does not count TcpExt.ListenOverflow");
	});

	it("lines that do not pair are an error", () => {
		expect(() => parseCounters("TcpExt: a b\nTcpExt: 1\n")).toThrow("not pairs of lines");
		expect(() => parseCounters("TcpExt: a\nIpExt: 1\n")).toThrow("not pairs of lines");
		expect(() => parseCounters("TcpExt: a\n")).toThrow("not pairs of lines");
	});

	it("this kernel has those that the storm reads", () => {
		const now = readCounters();
		for (const name of ["TcpExt.ListenOverflows", "TcpExt.SyncookiesSent", "TcpExt.TCPReqQFullDrop", "Tcp.RetransSegs"])
			expect(grown(name, now, now)).toBe(0);
	});
});

describe("what the kernel holds of a socket", () => {
	const text = [
		"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
		"   0: 0100007F:0BBD 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
		"   1: 0100007F:0BBD 0100007F:C001 01 00000400:00000000 01:00000000 00000000     0        0 2 1 0 20 4 30 10 -1",
		"   2: 0100007F:C001 0100007F:0BBD 01 00000000:00000100 00:00000000 00000000     0        0 3 1 0 20 4 30 10 -1",
		"   3: 0100007F:0BBD 0100007F:C002 01 00000800:00000000 01:00000000 00000000     0        0 4 1 0 20 4 30 10 -1",
		"   4: 0100007F:0BBD 0100007F:C003 01 0000FFFF:00000000 01:00000000 00000000     0        0 5 1 0 20 4 30 10 -1",
		"",
	].join("\n");

	it("is read per socket", () => {
		expect(parseSocketQueues(text)).toHaveLength(5);
		expect(parseSocketQueues(text)[2]).toEqual({ localPort: 0xc001, remotePort: 0x0bbd, unsentBytes: 0, unreadBytes: 256 });
	});

	it("is summed over both ends of a client's connection, the mean over the clients", () => {
		expect(heldByKernel([0xc001, 0xc002], parseSocketQueues(text))).toBe((1024 + 256 + 2048) / 2);
	});
});

describe("settings of the kernel", () => {
	const first = () => join(directory, "net/core/somaxconn");
	const second = () => join(directory, "net/ipv4/tcp_wmem");
	const settings = { "net.core.somaxconn": "128", "net.ipv4.tcp_wmem": "4096 16384 65536" };
	beforeEach(() => {
		mkdirSync(join(directory, "net/core"), { recursive: true });
		mkdirSync(join(directory, "net/ipv4"), { recursive: true });
		writeFileSync(first(), "4096\n");
		writeFileSync(second(), "4096\t16384\t4194304\n");
	});
	const now = () => [first(), second()].map((path) => readFileSync(path, "utf8").trim());
	const before = ["4096", "4096\t16384\t4194304"];

	it("are in force during the work and put back after it", async () => {
		const seen = await withSettings(settings, async () => now(), directory);
		expect(seen).toEqual(["128", "4096 16384 65536"]);
		expect(now()).toEqual(before);
	});

	it("are put back when the work throws", async () => {
		await expect(withSettings(settings, () => Promise.reject(new Error("storm")), directory)).rejects.toThrow("storm");
		expect(now()).toEqual(before);
	});

	it("are put back when a later one does not exist, and the work does not begin", async () => {
		let begun = false;
		const work = async () => {
			begun = true;
		};
		await expect(withSettings({ ...settings, "net.ipv4.nothing": "1" }, work, directory)).rejects.toThrow("ENOENT");
		expect(begun).toBe(false);
		expect(now()).toEqual(before);
	});

	it("of the machine itself are not touched", async () => {
		expect(isInOwnNamespace()).toBe(false);
		const somaxconn = readFileSync("/proc/sys/net/core/somaxconn", "utf8");
		await expect(withSettings({ "net.core.somaxconn": "77" }, async () => {})).rejects.toThrow("network namespace of one's own");
		expect(readFileSync("/proc/sys/net/core/somaxconn", "utf8")).toBe(somaxconn);
		expect(() => setLoopbackMtu(1500)).toThrow("network namespace of one's own");
	});
});

describe("the command line", () => {
	const known = ["a", "b", "c"];

	it("names sections, all when it names none, and the rounds", () => {
		expect(parseTuningOptions([], known)).toEqual({ names: known, named: false, rounds: null, help: false });
		expect(parseTuningOptions(["c", "--rounds", "2", "a"], known)).toEqual({ names: ["a", "c"], named: true, rounds: 2, help: false });
		expect(parseTuningOptions(["--help"], known).help).toBe(true);
	});

	it("refuses what it does not know", () => {
		expect(() => parseTuningOptions(["d"], known)).toThrow("d is none of a, b, c");
		expect(() => parseTuningOptions(["--rounds", "0"], known)).toThrow("--rounds 0: give a whole number");
		expect(() => parseTuningOptions(["--kernel"], known)).toThrow("--kernel");
	});
});

describe("the table", () => {
	it("has a line for each variant: medians, and the range when the rounds differ", async () => {
		const result = await runBench({
			name: "table",
			rounds: 3,
			figures: { ms: { unit: "ms", better: "lower" }, closed: { unit: "%", better: "lower" } },
			variants: { quick: (round) => ({ ms: [1, 3, 2][round]!, closed: 0 }), slow: () => ({ ms: 9, closed: 100 }) },
			resultsDirectory: directory,
			print: () => {},
		});
		expect(variantTable(result).replace(/ +/g, " ").split("\n")).toEqual([
			"variant ms (ms) closed (%)",
			expect.stringMatching(/^─/),
			"quick 2 (1–3) 0",
			"slow 9 100",
		]);
	});
});
