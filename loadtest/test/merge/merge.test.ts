import { existsSync, linkSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { mergeCommand } from "../../src/merge/merge-command.ts";
import { mergeResults } from "../../src/merge/merge-results.ts";
import { mergeSeries } from "../../src/merge/merge-series.ts";
import { parseResult } from "../../src/merge/read-result.ts";
import { UsageError } from "../../src/options.ts";
import { encodeLatencies, summariseLatency } from "../../src/report/latency.ts";
import { renderResult } from "../../src/report/render.ts";
import { connectFindings, type LoadTestResult, noteFindings, sendFindings } from "../../src/report/result.ts";
import { parseThreshold } from "../../src/thresholds/threshold.ts";
import { measured, point, send } from "../support/results.ts";

const slow = encodeLatencies([100_000, 100]);
const other: LoadTestResult = {
	...measured,
	send: {
		...send,
		histogram: slow,
		latency: summariseLatency([slow]),
		delivery: { ...send.delivery, lost: 3 },
		refusals: { "status 503": 2 },
	},
	series: { ...measured.series!, startedAt: "2026-11-28T08:00:02.400Z", points: [point(0, { histogram: slow, serverCpuPercent: 40 })] },
	warnings: ["its own CPU"],
	problems: ["3 deliveries lost"],
};

describe("results put together", () => {
	const merged = mergeResults([
		{ file: "a.json", result: measured },
		{ file: "b.json", result: other },
	]);

	it("add up what was counted", () => {
		expect(merged.send).toMatchObject({ sent: 20, expected: 200, deliveries: 200, refusals: { "status 503": 2 }, delivery: { lost: 3 } });
		expect(merged.connects).toMatchObject({ attempted: 40, opened: 38, failures: { "refused with 503: full": 2 } });
		expect(merged.ramp).toMatchObject({ opened: 38, connectsPerSecond: 38, seconds: 1 });
		expect(merged.options.connections).toBe(40);
	});

	it("take percentiles from all latencies, not from percentiles", () => {
		expect(merged.send!.latency).toMatchObject({ count: 200 });
		expect(merged.send!.latency.p90Ms).toBeCloseTo(100, 0);
		expect(merged.send!.latency.p50Ms).toBeCloseTo(9, 0);
	});

	it("say which of them found what", () => {
		expect(merged.problems).toEqual(["b.json: 3 deliveries lost"]);
		expect(merged.warnings).toEqual(["b.json: its own CPU"]);
		expect(renderResult(merged)).toMatch(/^a\.json: .*\nb\.json: .*\n40 connections/);
	});

	it("have one series, by the clocks of the machines", () => {
		expect(merged.series!.points).toHaveLength(3);
		expect(merged.series!.points.map(({ second, clients, deliveries }) => [second, clients, deliveries])).toEqual([
			[0, 19, 50],
			[1, 19, 0],
			[2, 19, 50],
		]);
		expect(merged.series!.points[1].p99Ms).toBeNull();
		expect(merged.series!.points[2]).toMatchObject({ serverCpuPercent: 40 });
		const together = mergeSeries([measured.series!, measured.series!]).points[0];
		expect(together).toMatchObject({ clients: 38, deliveries: 100, serverCpuPercent: null });
		const withCpu = (serverCpuPercent: number) => ({ ...measured.series!, points: [point(0, { serverCpuPercent })] });
		expect(mergeSeries([withCpu(40), withCpu(70), withCpu(50)]).points[0], "it is the same server").toMatchObject({ serverCpuPercent: 70 });
	});

	it("refuse series that do not fit", () => {
		const { series } = measured;
		expect(() => mergeSeries([series!, { ...series!, intervalSeconds: 2 }])).toThrow(
			"intervals of 1 s and another of 2 s: give all load tests the same",
		);
		expect(() => mergeSeries([series!, { ...series!, startedAt: "2026-11-29T08:00:00.000Z" }])).toThrow("began 86400 s apart");
		expect(() => mergeSeries([series!, { ...series!, startedAt: "2026-11-28T08:01:00.000Z" }]), "one after the other").toThrow(
			"began 60 s apart",
		);
	});
});

describe("a result as JSON", () => {
	it("can be read again, whole", () => {
		expect(parseResult(JSON.stringify(measured))).toEqual(JSON.parse(JSON.stringify(measured)));
	});

	it.each([
		["", "is not JSON: was the load test ended before it wrote its result?"],
		["null", "is not a result of the load test; name files that it wrote with --json"],
		['{"kind":"k6"}', "is not a result of the load test"],
		[JSON.stringify({ ...measured, version: 99 }), "has version 99 of the result, and this load test reads 1"],
		[JSON.stringify({ ...measured, options: undefined }), 'has no "options"'],
		[JSON.stringify({ ...measured, send: { ...send, histogram: "AAAA" } }), "has a histogram that can't be read"],
		[
			JSON.stringify({ ...measured, series: { ...measured.series, startedAt: "yesterday" } }),
			'has a series whose "startedAt" is not a time',
		],
		[JSON.stringify({ ...measured, series: { ...measured.series, startedAt: "5" } }), 'has a series whose "startedAt" is not a time'],
		[JSON.stringify({ ...measured, series: { ...measured.series, intervalSeconds: 0 } }), '"intervalSeconds" is not above 0'],
		[JSON.stringify({ ...measured, series: { ...measured.series, points: 5 } }), 'has a series without "points"'],
	])("is refused with a reason when it is none (%#)", (text, told) => {
		expect(() => parseResult(text)).toThrow(told);
	});
});

describe("merge", () => {
	let directory: string;
	beforeAll(() => {
		directory = mkdtempSync(join(tmpdir(), "load-merge-"));
	});
	afterAll(() => rmSync(directory, { recursive: true, force: true }));
	const written = (name: string, result: LoadTestResult): string => {
		const path = join(directory, name);
		writeFileSync(path, JSON.stringify(result));
		return path;
	};
	const refusal = (...argv: string[]): string => {
		try {
			mergeCommand(argv);
		} catch (error) {
			if (error instanceof UsageError && error.exitStatus === 2) return error.message;
			throw error;
		}
		throw new Error("it was accepted");
	};

	it("prints one report, and has the exit status of all", () => {
		const printed = vi.spyOn(console, "log").mockImplementation(() => {});
		const [a, b, c] = [written("a.json", measured), written("b.json", other), written("c.json", measured)];
		expect(mergeCommand([a, c])).toBe(0);
		expect(mergeCommand([a, c, "--fail-if", "throughput<1000"])).toBe(3);
		expect(mergeCommand([a, b])).toBe(1);
		expect(printed.mock.calls.at(-1)![0]).toContain("b.json: 3 deliveries lost");
		const refused = written("refused.json", { ...other, problems: ["3 deliveries lost", "2 messages refused: 2 × status 503"] });
		expect(mergeCommand([a, refused, "--fail-if", "loss>50%"]), "the refusals are still a problem").toBe(1);
		expect(mergeCommand([a, refused, "--fail-if", "loss>50%", "--fail-if", "errors>50%"])).toBe(0);
		expect(mergeCommand([a, refused, "--fail-if", "loss>1%", "--fail-if", "errors>50%"])).toBe(3);
		const json = join(directory, "merged.json");
		expect(mergeCommand([a, c, "--json", json])).toBe(0);
		expect(mergeCommand([json, b])).toBe(1);
	});

	it("judges by its own thresholds alone, not by those of the load tests", () => {
		vi.spyOn(console, "log").mockImplementation(() => {});
		const a = written("a.json", measured);
		const judged: LoadTestResult = { ...measured, send: other.send!, warnings: [], problems: [] };
		const found = [...connectFindings(20, 19, { "refused with 503: full": 1 }), ...sendFindings(other.send!)];
		noteFindings(judged, found, ["loss>50%", "errors>50%", "connects-failed>50%"].map(parseThreshold));
		expect(judged.problems).toEqual([]);
		const b = written("judged.json", judged);
		const merged = join(directory, "of-judged.json");
		const lenient = ["--fail-if", "loss>50%", "--fail-if", "errors>50%", "--fail-if", "connects-failed>50%"];
		expect(mergeCommand([a, b, ...lenient, "--json", merged])).toBe(0);
		expect(mergeCommand([a, b]), "without a threshold a loss is a problem again").toBe(1);
		expect(mergeCommand([a, b, ...lenient.slice(0, 4)]), "and so are connections that did not open").toBe(1);
		expect(mergeCommand([merged, ...lenient]), "also when it was merged before").toBe(0);
		expect(mergeCommand([merged])).toBe(1);
	});

	it("refuses to replace a file that it merges, however that is named, and writes nothing", () => {
		const [a, b] = [written("a.json", measured), written("b.json", measured)];
		const before = readFileSync(b, "utf8");
		const [link, hard, csv] = ["link.json", "hard.json", "new.csv"].map((name) => join(directory, name)) as [string, string, string];
		symlinkSync(b, link);
		linkSync(b, hard);
		for (const [flag, path] of [
			["--json", b],
			["--json", link],
			["--html", hard],
			["--json", join(directory, ".", "b.json")],
		] as const)
			expect(refusal(a, b, "--csv", csv, flag, path)).toBe(`error: ${flag} ${path} would replace ${b}, which is merged; name another file`);
		expect([readFileSync(b, "utf8"), existsSync(csv)]).toEqual([before, false]);
	});

	it("refuses what it can not read, by name", () => {
		const a = written("a.json", measured);
		expect(refusal()).toContain("missing required argument 'files'");
		expect(refusal(a, "/nowhere.json")).toBe("error: /nowhere.json can't be read (ENOENT)");
		expect(refusal(a, a)).toContain("is named twice");
		expect(refusal(a, "--html", "/nowhere/report.html")).toContain("--html /nowhere/report.html can not be written (ENOENT)");
	});
});
