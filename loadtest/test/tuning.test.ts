import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { kernelBytesPerConnection, parseSocketQueues } from "@shardcast/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { runBench } from "../src/bench/support/report.ts";
import { parseTuningOptions } from "../src/bench/tuning/options.ts";
import { variantTable } from "../src/bench/tuning/variant-table.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "bench-tuning-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

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
		expect(kernelBytesPerConnection([0xc001, 0xc002], parseSocketQueues(text))).toBe((1024 + 256 + 2048) / 2);
	});
});

describe("the command line", () => {
	const known = ["a", "b", "c"];

	it("names sections, all when it names none, and the rounds", () => {
		expect(parseTuningOptions([], known)).toEqual({ names: known, rounds: null, help: false });
		expect(parseTuningOptions(["c", "--rounds", "2", "a"], known)).toEqual({ names: ["a", "c"], rounds: 2, help: false });
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
