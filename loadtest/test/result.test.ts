import { describe, expect, it } from "vitest";
import type { SendReport } from "../src/generator.ts";
import { ProgressView } from "../src/progress-view.ts";
import { generatorWarnings, rampProblems, sendProblems } from "../src/result.ts";
import { spreadPercent } from "../src/servers.ts";

const good: SendReport = {
	sent: 10,
	planned: 10,
	expected: 100,
	delivery: { received: 100, lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] },
	deliveries: 100,
	latency: { count: 100, meanMs: 1, p50Ms: 1, p90Ms: 1, p99Ms: 1, p999Ms: 1, maxMs: 1 },
	seconds: 1,
	refusals: {},
	lateMsMax: 1,
	brokenOff: {},
	threads: [{ utilization: 0.5, lagP99Ms: 1 }],
	cpuMs: 1,
};

describe("verdict", () => {
	it("is a pass only without any problem", () => {
		expect(sendProblems(good)).toEqual([]);
		expect(rampProblems({ opened: 5, failures: {}, seconds: 1, connectsPerSecond: 5 }, 5)).toEqual([]);
	});

	it.each([
		[{ ...good, sent: 9 }, "1 of 10 messages were not taken"],
		[{ ...good, delivery: { ...good.delivery, lost: 1 } }, "1 deliveries lost"],
		[{ ...good, delivery: { ...good.delivery, duplicated: 2 } }, "2 deliveries doubled"],
		[{ ...good, delivery: { ...good.delivery, reordered: 3 } }, "3 deliveries out of order"],
		[{ ...good, delivery: { ...good.delivery, unexpected: 4 } }, "4 deliveries that should not have been made"],
		[{ ...good, refusals: { "status 503": 2 } }, "2 messages refused: 2 × status 503"],
		[{ ...good, brokenOff: { "closed with 1006": 5 } }, "5 connections ended during the test: 5 × closed with 1006"],
	] satisfies [SendReport, string][])("fails on each kind of problem alone (%#)", (send, told) => {
		expect(sendProblems(send)).toEqual([expect.stringContaining(told)]);
	});

	it("warns when the load generator was the bottleneck", () => {
		expect(generatorWarnings(good)).toEqual([]);
		expect(generatorWarnings({ ...good, threads: [...good.threads, { utilization: 0.97, lagP99Ms: 1 }] })).toEqual([
			expect.stringContaining("busy 97 %"),
		]);
		expect(generatorWarnings({ ...good, threads: [{ utilization: 0.2, lagP99Ms: 80 }] })).toEqual([expect.stringContaining("80 ms late")]);
		expect(generatorWarnings({ ...good, lateMsMax: 500 })).toEqual([expect.stringContaining("500 ms later than planned")]);
	});

	it("measures the spread between shards against their mean", () => {
		const shards = (...counts: number[]) => counts.map((connections, id) => ({ id, connections }));
		expect(spreadPercent(shards(6000, 6000))).toBe(0);
		expect(spreadPercent(shards(4020, 3980, 4000))).toBeCloseTo(1);
		expect(spreadPercent([])).toBe(0);
	});
});

describe("ProgressView", () => {
	const shown = async (isTTY: boolean): Promise<string> => {
		let text = "";
		let done = 0;
		const view = new ProgressView({ isTTY, write: (piece) => (text += piece) });
		await view.during({ name: "send", total: 4, unit: "messages", done: () => done }, async () => {
			done = 4;
		});
		return text;
	};

	it("draws a bar on a terminal", async () => {
		expect(await shown(true)).toBe(
			`\r\x1b[Ksend     ${"░".repeat(30)} 0 of 4 messages\r\x1b[Ksend     ${"█".repeat(30)} 4 of 4 messages\n`,
		);
	});

	it("writes plain lines elsewhere", async () => {
		expect(await shown(false)).toBe("send     0 of 4 messages\nsend     4 of 4 messages\n");
	});
});
