import { closeSync, openSync } from "node:fs";
import { describe, expect, it } from "vitest";
import {
	type BoardReading,
	kafkaMetrics,
	MetricsCollector,
	type MetricsSource,
	metricsReference,
	metricTables,
	ProcessMetrics,
	renderMetrics,
} from "../src/index.ts";

const nobody: BoardReading = { nowMs: 0, clusterState: "serving", balancer: null, shards: [] };

function collectorOf(sources: readonly MetricsSource[], deadlineMs = 50): MetricsCollector {
	return new MetricsCollector({ sources: () => sources, board: () => nobody, own: new ProcessMetrics("supervisor"), deadlineMs });
}
const answering = (name: string, metrics = new ProcessMetrics(name)): MetricsSource => ({ name, request: () => metrics.values() });
const linesOf = (text: string, name: string): string[] => text.split("\n").filter((line) => line.startsWith(name));

describe("MetricsCollector", () => {
	it("M7: puts the processes' default metrics side by side, told apart by the label process", async () => {
		const text = await collectorOf([answering("shard-0"), answering("balancer")]).collect();
		const processes = linesOf(text, "process_resident_memory_bytes{").map((line) => /process="([^"]+)"/.exec(line)?.[1]);
		expect(processes.sort()).toEqual(["balancer", "shard-0", "supervisor"]);
		expect(text.match(/^# HELP process_resident_memory_bytes /gm)).toHaveLength(1);
	});

	it("a process that hangs costs its own part, after the deadline, and is counted", async () => {
		const hung: MetricsSource = { name: "shard-1", request: () => new Promise(() => undefined) };
		const collector = collectorOf([hung, answering("shard-0")]);
		const beganMs = performance.now();
		const text = await collector.collect();
		expect(performance.now() - beganMs).toBeLessThan(1000);
		expect(linesOf(text, "process_resident_memory_bytes{")).toHaveLength(2);
		expect(text).toContain('shardcast_scrape_errors_total{source="shard-1",process="supervisor"} 1');
		expect(await collector.collect()).toContain('shardcast_scrape_errors_total{source="shard-1",process="supervisor"} 2');
	});

	it.each([
		["that is gone", () => Promise.reject(new Error("the child is gone"))],
		["that answers nonsense", () => Promise.resolve("nonsense")],
		["that has no metrics", () => Promise.resolve(null)],
	])("a process %s costs its own part and is counted", async (_, request) => {
		const text = await collectorOf([{ name: "balancer", request }]).collect();
		expect(text).toContain('shardcast_scrape_errors_total{source="balancer",process="supervisor"} 1');
		expect(linesOf(text, "process_resident_memory_bytes{")).toHaveLength(1);
	});

	it("callers that come while an answer is being made share it", async () => {
		let asked = 0;
		const source = answering("shard-0");
		const counting: MetricsSource = {
			name: "shard-0",
			request: (deadlineMs) => {
				asked++;
				return source.request(deadlineMs);
			},
		};
		const collector = collectorOf([counting], 1000);
		const answers = await Promise.all(Array.from({ length: 20 }, () => collector.collect()));
		expect(asked).toBe(1);
		expect(new Set(answers).size).toBe(1);
		await collector.collect();
		expect(asked).toBe(2);
	});

	it("tells the version, and how many answers there were", async () => {
		const collector = collectorOf([]);
		await collector.collect();
		const text = await collector.collect();
		expect(text).toContain(`shardcast_build_info{version="0.1.0",node="${process.version}",process="supervisor"} 1`);
		expect(text).toContain('shardcast_scrapes_total{process="supervisor"} 2');
	});
});

describe("ProcessMetrics", () => {
	it("takes the counters and gauges of the process's parts, with the label shard", async () => {
		const metrics = new ProcessMetrics("shard-3", 3);
		metrics.counter(kafkaMetrics.records).add(5, { topic: "market" });
		metrics.counter(kafkaMetrics.pauses).add(2);
		const lag = metrics.gauge(kafkaMetrics.lag);
		lag.set(7, { topic: "market", partition: "0" });
		lag.set(9, { topic: "market", partition: "1" });
		lag.remove({ topic: "market", partition: "1" });
		const text = await renderMetrics([await metrics.values()]);
		expect(text).toContain('shardcast_kafka_records_total{topic="market",shard="3"} 5');
		expect(text).toContain('shardcast_kafka_pauses_total{shard="3"} 2');
		expect(linesOf(text, "shardcast_kafka_lag_records{")).toEqual([
			'shardcast_kafka_lag_records{topic="market",partition="0",shard="3"} 7',
		]);
	});

	it("survives the way through JSON, as over the fork IPC", async () => {
		const values = await new ProcessMetrics("balancer").values();
		expect(await renderMetrics([JSON.parse(JSON.stringify(values))])).toBe(await renderMetrics([values]));
	});

	it("costs a process with thousands of open files little: no metric walks them", async () => {
		const metrics = new ProcessMetrics("shard-0");
		await metrics.values();
		const files = Array.from({ length: 3000 }, () => openSync("/dev/null", "r"));
		try {
			const { user, system } = process.cpuUsage();
			for (let round = 0; round < 10; round++) await metrics.values();
			const cpu = process.cpuUsage();
			expect((cpu.user + cpu.system - user - system) / 1000 / 10).toBeLessThan(10);
		} finally {
			for (const file of files) closeSync(file);
		}
	});
});

describe("reference of the metrics", () => {
	it("has a line for every metric, no name twice, each with one sentence", () => {
		const rows = Object.values(metricTables).flat();
		expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
		const lines = metricsReference().split("\n");
		for (const { name, help } of rows) {
			expect(help).toMatch(/^[A-Z0-9].*\.$/);
			expect(lines.filter((line) => line.startsWith(`| \`${name}\` |`))).toHaveLength(1);
		}
		expect(lines.some((line) => line.startsWith("| `process_cpu_seconds_total` |"))).toBe(true);
	});
});
