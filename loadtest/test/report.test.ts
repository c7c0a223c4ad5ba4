import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { otherCpuPercent, runBench } from "../src/bench/support/report.ts";
import { spreadOf } from "../src/bench/support/spread.ts";
import { counted, number } from "../src/report/table.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "bench-report-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe("bench report", () => {
	it("takes the variants in turn, A B A B, and throws warm-ups away", async () => {
		const order: string[] = [];
		const result = await runBench({
			name: "order",
			rounds: 2,
			warmups: 1,
			figures: { ms: { unit: "ms", better: "lower" } },
			variants: {
				a: (round) => {
					order.push(`a${round}`);
					return { ms: round };
				},
				b: async (round) => {
					order.push(`b${round}`);
					return { ms: round * 10 };
				},
			},
			resultsDirectory: directory,
			print: () => {},
		});
		expect(order).toEqual(["a-1", "b-1", "a0", "b0", "a1", "b1"]);
		expect(result.rounds).toEqual([
			{ a: { ms: 0 }, b: { ms: 0 } },
			{ a: { ms: 1 }, b: { ms: 10 } },
		]);
	});

	it("takes each ratio within its round, not from the summaries", async () => {
		const slow = [1, 10, 2];
		const printed: string[] = [];
		const result = await runBench({
			name: "ratio",
			rounds: 3,
			figures: { us: { unit: "µs", better: "lower", help: "time." }, noise: { unit: "%", better: "lower", compared: false } },
			baseline: "bare",
			variants: {
				bare: (round) => ({ us: slow[round]!, noise: 3 }),
				ours: (round) => ({ us: slow[round]! * (round === 1 ? 0.5 : 2), noise: 51 }),
			},
			targets: [
				{ variant: "ours", figure: "us", ratioAtMost: 1.1 },
				{ variant: "ours", figure: "us", ratioAtLeast: 1.1 },
				{ variant: "ours", figure: "us", atMost: 4 },
			],
			setup: { clients: 5000 },
			resultsDirectory: directory,
			print: (line) => printed.push(line),
		});
		expect(result.summary.ours.us).toEqual({ min: 2, median: 4, max: 5, ratio: { min: 0.5, median: 2, max: 2 } });
		expect(result.summary.bare.us.ratio).toBeUndefined();
		expect(result.targets.map(({ met }) => met)).toEqual([false, true, true]);
		const text = printed.join("\n");
		expect(text).toContain("MISSED  ours us ratio ≤ 1.1: median 2");
		expect(text).toContain("clients 5,000");
		expect(text).toContain("us: time.");
		expect(text).toMatch(/^us .* ours .*0\.5\s+2\s+2$/m);
		expect(text).toMatch(/^noise .* ours\s+51\s+51\s+51$/m);

		const [file] = readdirSync(directory);
		expect(file).toMatch(/^ratio-\d{4}-.*\.json$/);
		const saved = JSON.parse(readFileSync(join(directory, file!), "utf8"));
		expect(saved.machine).toMatchObject({ node: process.version, cores: expect.any(Number), cpu: expect.any(String) });
		expect(saved.summary.ours.us.ratio.median).toBe(2);
	});

	it("judges no target while other programs were busy: the variant's median counts, for a ratio the baseline's as well", async () => {
		const printed: string[] = [];
		const others = { quiet: [10, 90, 1], loud: [11, 1, 90], bare: [10, 11, 12] };
		const variant = (name: keyof typeof others) => (round: number) => ({ ms: 2, otherCpuPercent: others[name][round]! });
		const { targets } = await runBench({
			name: "busy",
			rounds: 3,
			figures: { ms: { unit: "ms", better: "lower", title: "p99 of VIDEO (ms)" }, otherCpuPercent },
			baseline: "bare",
			variants: { bare: variant("bare"), quiet: variant("quiet"), loud: variant("loud") },
			targets: [
				{ variant: "quiet", figure: "ms", atMost: 1 },
				{ variant: "loud", figure: "ms", atMost: 1 },
				{ variant: "loud", figure: "ms", atMost: 3 },
				{ variant: "quiet", figure: "ms", ratioAtMost: 1 },
			],
			resultsDirectory: directory,
			print: (line) => printed.push(line),
		});
		const lines = printed.join("\n").split("\n");
		expect(lines[0], "the first line").toBe("busy: 3 rounds of bare, quiet, loud");
		const busy = (percent: number) => `while other programs used ${percent} % of a core: repeat the run`;
		expect(lines.filter((line) => /^(met|MISSED|unsure) /.test(line))).toEqual([
			"MISSED  quiet p99 of VIDEO (ms) ≤ 1: median 2",
			`unsure  loud p99 of VIDEO (ms) ≤ 1: median 2, ${busy(11)}`,
			`unsure  loud p99 of VIDEO (ms) ≤ 3: median 2, ${busy(11)}`,
			`unsure  quiet p99 of VIDEO (ms) ratio ≤ 1: median 1, ${busy(11)}`,
		]);
		expect(
			targets.map((target) => target.otherCpuPercent),
			"as saved",
		).toEqual([undefined, 11, 11, 11]);
	});

	it("counts one of a thing, and several", () => {
		expect([1, 2, 1_200].map((count) => counted(count, "core"))).toEqual(["1 core", "2 cores", "1,200 cores"]);
	});

	it("does not save a comparison of which one side failed", async () => {
		const bench = runBench({
			name: "failing",
			rounds: 1,
			figures: { ms: { unit: "ms", better: "lower" } },
			variants: {
				a: () => ({ ms: 1 }),
				b: () => {
					throw new Error("no server");
				},
			},
			resultsDirectory: directory,
			print: () => {},
		});
		await expect(bench).rejects.toThrow("no server");
		expect(readdirSync(directory)).toEqual([]);
	});

	it("finds the median of odd and even counts, and refuses none", () => {
		expect(spreadOf([3, 1, 2])).toEqual({ min: 1, median: 2, max: 3 });
		expect(spreadOf([4, 1, 2, 3])).toEqual({ min: 1, median: 2.5, max: 4 });
		expect(() => spreadOf([])).toThrow(RangeError);
	});

	it("prints numbers with the digits that matter", () => {
		expect([5_123_456.7, 123.45, 12.345, 1.23456, 0].map(number)).toEqual(["5,123,457", "123.5", "12.35", "1.235", "0"]);
	});
});
