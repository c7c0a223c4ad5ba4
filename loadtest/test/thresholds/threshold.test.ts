import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { emptyResult } from "../../src/load-test.ts";
import { parseOptions } from "../../src/options.ts";
import { ExitStatus, exitStatusOf } from "../../src/report/exit-status.ts";
import { renderResult } from "../../src/report/render.ts";
import { type LoadTestResult, noteFindings, sendFindings } from "../../src/report/result.ts";
import { figures } from "../../src/thresholds/figures.ts";
import { describeThreshold, judge, parseThreshold } from "../../src/thresholds/threshold.ts";
import { measured, send } from "../support/results.ts";

describe("--fail-if", () => {
	it.each([
		["p99>50ms", { figure: "p99", comparison: ">", limit: 50, unit: "ms" }],
		[" p99.9 >= 1.5 s ", { figure: "p99.9", comparison: ">=", limit: 1500, unit: "ms" }],
		["connect-p99>500us", { figure: "connect-p99", comparison: ">", limit: 0.5, unit: "ms" }],
		["loss>0.1%", { figure: "loss", comparison: ">", limit: 0.1, unit: "%" }],
		["duplicates>0", { figure: "duplicates", comparison: ">", limit: 0, unit: "" }],
		["throughput<1000/s", { figure: "throughput", comparison: "<", limit: 1000, unit: "/s" }],
		["connect-rate<=20", { figure: "connect-rate", comparison: "<=", limit: 20, unit: "/s" }],
	])("%j is read", (text, threshold) => {
		expect(parseThreshold(text)).toEqual({ text, ...threshold });
	});

	it.each([
		["", "at character 1: a figure is missing; write p50,"],
		[">50ms", "at character 1: a figure is missing"],
		["p98>50ms", 'at character 1: there is no figure "p98"; write p50, p90, p95, p99, p99.9, max'],
		["toString>1", "at character 1"],
		["p99", "at character 4: one of > >= < <= is missing; write --fail-if 'p99>…', with the quotes"],
		["p99=50ms", "at character 4: one of > >="],
		["p99>", "at character 5: a number is missing; write p99>50ms"],
		["p99>fast", "at character 5: a number is missing"],
		["p99>50", "at character 7: a unit is missing; write us, ms, s or m, as in p99>50ms"],
		["p99 > 50 minutes", 'at character 10: there is no unit "minutes" of time'],
		["loss>1ms", 'at character 7: "ms" is no unit of loss; write a count without a unit, or percent: loss>1%'],
		["loss<5", "at character 5: a threshold on loss says how much is too much; write loss>5"],
		["connects-failed <= 1%", "at character 17: a threshold on connects-failed says how much is too much; write connects-failed>1%"],
		["throughput<10%", 'at character 14: "%" is no unit of throughput'],
	])("%j is refused, with the place", (text, told) => {
		expect(() => parseThreshold(text)).toThrow(told);
	});

	const crossed = (text: string, result: LoadTestResult) => judge(parseThreshold(text), result).crossed;

	it("compares what was measured, counts in percent of what could have been", () => {
		expect(crossed("p99>9ms", measured)).toBe(false);
		expect(crossed("p99>=9ms", measured)).toBe(true);
		expect(crossed("max<1s", measured)).toBe(true);
		const lossy = { ...measured, send: { ...send, delivery: { ...send.delivery, lost: 2 } } };
		expect(crossed("loss>2", lossy)).toBe(false);
		expect(judge(parseThreshold("loss>1%"), lossy)).toMatchObject({ value: 2, crossed: true });
		expect(crossed("connects-failed>=5%", measured)).toBe(true);
		expect(crossed("throughput<50/s", measured)).toBe(false);
		expect(describeThreshold(judge(parseThreshold("p99>8ms"), measured))).toBe("CROSSED  p99>8ms: 9 ms");
		expect(describeThreshold(judge(parseThreshold("throughput<5"), measured))).toBe("kept     throughput<5: 50/s");
	});

	it("is crossed when its figure was not measured, for each figure", () => {
		const nothing = emptyResult(parseOptions(["--connections", "10"], 1000));
		for (const [figure, { unit }] of Object.entries(figures)) {
			const text = `${figure}>${{ time: "1ms", share: "1", rate: "1/s" }[unit]}`;
			expect(judge(parseThreshold(text), nothing), text).toMatchObject({ value: null, crossed: true });
			expect(judge(parseThreshold(text), measured).value, text).not.toBeNull();
		}
		expect(describeThreshold(judge(parseThreshold("p99>1ms"), nothing))).toBe("CROSSED  p99>1ms: not measured");
	});

	it("has its own exit status, behind what is lost and what is interrupted", () => {
		const thresholds = [judge(parseThreshold("p99>1ms"), measured)];
		expect(exitStatusOf({ ...measured, thresholds })).toBe(ExitStatus.thresholdCrossed);
		expect(exitStatusOf({ ...measured, thresholds, problems: ["1 deliveries lost"] })).toBe(ExitStatus.failed);
		expect(exitStatusOf({ ...measured, thresholds, interrupted: { open: 1, sent: 1, received: 1 } })).toBe(ExitStatus.interrupted);
		expect(exitStatusOf({ ...measured, thresholds: [judge(parseThreshold("p99>1s"), measured)] })).toBe(ExitStatus.passed);
		expect(renderResult({ ...measured, thresholds })).toMatch(/CROSSED {2}p99>1ms: 9 ms\n\nFAILED\n {2}the threshold p99>1ms is crossed$/);
	});

	it("has each figure and each exit status in the guide", () => {
		const guide = readFileSync(join(import.meta.dirname, "../../../docs/how-to/load-testing.md"), "utf8");
		const rows = guide.split("\n").filter((line) => line.startsWith("|"));
		for (const figure of Object.keys(figures))
			expect(
				rows.some((row) => row.split("|")[1].includes(`\`${figure}\``)),
				figure,
			).toBe(true);
		for (const status of Object.values(ExitStatus))
			expect(
				rows.some((row) => row.startsWith(`| ${status} |`)),
				String(status),
			).toBe(true);
	});

	it("says how much is too much of what otherwise fails a test", () => {
		const lossy = { ...send, delivery: { ...send.delivery, lost: 2, duplicated: 1 } };
		const result: LoadTestResult = { ...measured, send: lossy, warnings: [], problems: [] };
		noteFindings(result, sendFindings(lossy), [parseThreshold("loss>5%"), parseThreshold("p99>1s")]);
		expect(result.warnings).toEqual(["2 deliveries lost (--fail-if says how many are too many)"]);
		expect(result.problems).toEqual(["1 deliveries doubled"]);
		expect(renderResult({ ...result, problems: [] })).toContain("passed: no threshold is crossed");
	});
});
