import { describe, expect, it } from "vitest";
import type { SendReport } from "../src/generator.ts";
import { emptyResult } from "../src/load-test.ts";
import { parseOptions } from "../src/options.ts";
import { generatorWarnings } from "../src/report/generator-warnings.ts";
import { ProgressView } from "../src/report/progress-view.ts";
import { renderResult } from "../src/report/render.ts";
import { rampProblems, sendProblems } from "../src/report/result.ts";
import { spreadPercent } from "../src/servers.ts";

const good: SendReport = {
	sent: 10,
	planned: 10,
	expected: 100,
	delivery: { received: 100, lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] },
	deliveries: 100,
	latency: { count: 100, meanMs: 1, p50Ms: 1, p90Ms: 1, p95Ms: 1, p99Ms: 1, p999Ms: 1, maxMs: 1 },
	histogram: "",
	nodes: [],
	seconds: 1,
	refusals: {},
	lateMsMax: 1,
	brokenOff: {},
	threads: [{ role: "sends", utilization: 0.5, lagP99Ms: 1, lagMaxMs: 2, gcShare: 0.01, gcMaxMs: 1 }],
	cpuMs: 1,
};

it("tells no negative memory per connection", () => {
	const result = emptyResult(parseOptions(["--url", "ws://127.0.0.1:1"]));
	const hold = { cpuPercent: 1, pssBytesBefore: 2 ** 20, pssBytesAfter: 2 ** 20 };
	const shown = (pssBytesPerConnection: number) => renderResult({ ...result, hold: { ...hold, pssBytesPerConnection } });
	expect(shown(2048)).toContain("1 MiB, 2 KiB per connection");
	expect(shown(-40_000)).toContain("1 MiB, too few connections to tell what one takes");
});

it("has a row for each of several nodes, and none for one", () => {
	const result = { ...emptyResult(parseOptions(["--url", "ws://127.0.0.1:1"])), send: good };
	const node = (port: number) => ({ address: `127.0.0.1:${port}`, connections: 5, connectsPerSecond: 50, expected: 50, received: 49 });
	expect(renderResult({ ...result, nodes: [node(1)] })).not.toContain("all nodes");
	const shown = renderResult({ ...result, nodes: [node(1), { ...node(2), pssBytesPerConnection: 3072, p50Ms: 1, p99Ms: 7, cpuMs: 12 }] });
	expect(shown).toMatch(/^127\.0\.0\.1:1 +5 +50 +49 of 50 *$/m);
	expect(shown).toMatch(/^127\.0\.0\.1:2 +5 +50 +3 +49 of 50 +1 +7 +12$/m);
	expect(shown).toMatch(/^all nodes .* 100 of 100 +1 +1 +12$/m);
});

describe("verdict", () => {
	it("is a pass only without any problem", () => {
		expect(sendProblems(good)).toEqual([]);
		expect(rampProblems({ opened: 5, openedByNode: [5], failures: {}, seconds: 1, connectsPerSecond: 5 }, 5)).toEqual([]);
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
		const calm = good.threads[0]!;
		const warnings = (thread: object, more: object = {}) =>
			generatorWarnings({ ...good, threads: [calm, { ...calm, role: "receives", ...thread }] }, { cores: 2, ...more });
		expect(warnings({})).toEqual([]);
		expect(warnings({ utilization: 0.97 })).toEqual([
			expect.stringMatching(/busy 97 % of the time, thread 1 \(receives\): give it more --threads/),
		]);
		expect(warnings({ lagP99Ms: 80 })).toEqual([expect.stringMatching(/80 ms late \(p99\), in thread 1 \(receives\)/)]);
		expect(warnings({ gcShare: 0.2 })).toEqual([expect.stringContaining("garbage collection took 20 % of the time of thread 1")]);
		expect(warnings({ gcMaxMs: 90 })).toEqual([expect.stringContaining("its longest pause 90 ms")]);
		expect(warnings({}, { otherCpuPercent: 60 })).toEqual([expect.stringContaining("other programs used 60 % of this machine's CPUs")]);
		expect(generatorWarnings({ ...good, lateMsMax: 500 }, { cores: 2 })).toEqual([expect.stringContaining("500 ms later than planned")]);
		const sending = generatorWarnings({ ...good, threads: [{ ...calm, utilization: 0.99 }] }, { cores: 2 });
		expect(sending).toEqual([expect.stringContaining("thread 0 (sends): give it a lower --rate, or a second load test")]);
	});

	it("takes a server on another machine into account: all cores are the load generator's", () => {
		const threads = [1, 2, 3, 4].map(() => good.threads[0]!);
		const busy = { ...good, threads, cpuMs: 3000 };
		expect(generatorWarnings(busy, { cores: 4 })).toHaveLength(1);
		expect(generatorWarnings(busy, { cores: 4, isShared: false })).toEqual([]);
	});

	it.each([
		[1, 3, 990],
		[2, 3, 990],
		[2, 1, 990],
		[8, 2, 1900],
		[8, 5, 3700],
	])("warns when, of %i cores, its %i threads used %i ms of CPU in a second", (cores, threads, cpuMs) => {
		const send = { ...good, threads: Array.from({ length: threads }, () => good.threads[0]!), seconds: 1 };
		expect(generatorWarnings({ ...send, cpuMs }, { cores })).toEqual([
			expect.stringMatching(new RegExp(`^the load generator used ${cpuMs / 10} % of a core`)),
		]);
		expect(generatorWarnings({ ...send, cpuMs: cpuMs * 0.8 }, { cores })).toEqual([]);
	});

	it("has the warnings in the result, and shows them", () => {
		const options = parseOptions(["--connections", "10"], 1000);
		const result = { ...emptyResult(options), send: good, warnings: ["the load generator used 99 % of a core"] };
		expect(emptyResult(options).warnings).toEqual([]);
		expect(renderResult(result)).toContain("\nwarning: the load generator used 99 % of a core\npassed: ");
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
