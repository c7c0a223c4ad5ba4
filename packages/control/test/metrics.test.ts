import { closeSync, openSync } from "node:fs";
import { type KafkaReading, kafkaMetrics } from "@shardcast/scoreboard";
import { type BoardReading, ProcessMetrics, renderMetrics } from "@shardcast/telemetry";
import { describe, expect, it } from "vitest";
import { type AskedProcess, Questions } from "../src/asking/questions.ts";
import { answerMetrics } from "../src/metrics/cluster-metrics.ts";
import { metricsReference, metricTables } from "../src/metrics/reference.ts";
import { metricsQuestion } from "../src/questions/metrics-question.ts";

const zeroNames = [
	"tombstones",
	"tooLarge",
	"invalidText",
	"badChannel",
	"badHeader",
	"deadLetters",
	"deadLettersLost",
	"pauses",
	"commits",
	"delivered",
];
const routeNames = [
	"deadLettersWaiting",
	"deadLettersLeft",
	"deadLetterCopiesDropped",
	"deadLettersSeenBefore",
	"routeSkipped",
	"routeErrors",
	"routeInvalid",
	"routeTimeouts",
	"relaySent",
	"relaySentBytes",
	"relayDropped",
	"relayTaken",
	"followGaps",
	"followSilences",
	"followElections",
	"followUnreadable",
	"followed",
	"produced",
	"produceErrors",
];
const hostNames = [
	"revocations",
	"workerRestarts",
	"historyReads",
	"historyReadsFailed",
	"historyRecords",
	"busFull",
	"logTooLarge",
	"ringHighWaterBytes",
	"publishUnanswered",
	"tableBusy",
	"readerWaits",
	"lookedMs",
];
/** Every counter that the table asks for. */
const zeros = Object.fromEntries([...zeroNames, ...routeNames, ...hostNames].map((name) => [name, 0]));

const nobody: BoardReading = { nowMs: 0, clusterState: "serving", balancer: null, shards: [], guards: [] };

/** Collects the metrics of these processes and of the supervisor. */
function collectorOf(processes: readonly AskedProcess[], tell: (text: string) => void = () => {}): () => Promise<string> {
	const log = { warn: (first: unknown) => tell(String(first)) };
	const questions = new Questions({ processes: () => processes, log });
	answerMetrics({ questions, board: () => nobody, own: new ProcessMetrics("supervisor") });
	return () => questions.ask(metricsQuestion, null);
}
const value = { labels: { a: "b" }, value: 1 };
const good = { name: "good_total", help: "Good.", type: "counter", aggregator: "first", values: [value] };
const asked = (name: string, request: () => Promise<unknown>): AskedProcess => ({ name, isShard: name !== "balancer", request });
const answering = (name: string, metrics = new ProcessMetrics(name)): AskedProcess => asked(name, () => metrics.values());
const linesOf = (text: string, name: string): string[] => text.split("\n").filter((line) => line.startsWith(name));

describe("the answer to GET /metrics", () => {
	it("puts the processes' default metrics side by side, told apart by the label process", async () => {
		const text = await collectorOf([answering("shard-0"), answering("balancer")])();
		const processes = linesOf(text, "process_resident_memory_bytes{").map((line) => /process="([^"]+)"/.exec(line)?.[1]);
		expect(processes.sort()).toEqual(["balancer", "shard-0", "supervisor"]);
		expect(text.match(/^# HELP process_resident_memory_bytes /gm)).toHaveLength(1);
	});

	it("a process that is gone costs its own part, and is counted in the same answer", async () => {
		const collect = collectorOf([asked("shard-1", () => Promise.reject(new Error("a child is gone"))), answering("shard-0")]);
		const text = await collect();
		expect(linesOf(text, "process_resident_memory_bytes{")).toHaveLength(2);
		expect(text).toContain('shardcast_missing_answers_total{question="metrics",source="shard-1",process="supervisor"} 1');
		expect(text).toContain('shardcast_missing_answers_total{question="metrics",source="shard-0",process="supervisor"} 0');
	});

	it.each([
		["that answers nonsense", () => Promise.resolve("nonsense")],
		["that has no metrics", () => Promise.resolve(null)],
		["that sends null for a metric", () => Promise.resolve([null])],
		["that sends a metric without values", () => Promise.resolve([{ ...good, values: undefined }])],
		["that sends a metric of no type", () => Promise.resolve([{ ...good, type: "riddle" }])],
		["that sends a metric without help", () => Promise.resolve([{ ...good, help: null }])],
		["that sends a name that is none", () => Promise.resolve([good, { ...good, name: "a b" }])],
		["that sends null as a value", () => Promise.resolve([{ ...good, values: [null] }])],
		["that sends no number", () => Promise.resolve([{ ...good, values: [{ labels: {}, value: null }] }])],
		["that sends a value without labels", () => Promise.resolve([{ ...good, values: [{ value: 1 }] }])],
		["that sends a label name that is none", () => Promise.resolve([{ ...good, values: [{ labels: { "a-b": "x" }, value: 1 }] }])],
		["that sends a label that is an object", () => Promise.resolve([{ ...good, values: [{ labels: { a: {} }, value: 1 }] }])],
		["that sends a histogram's part without a name", () => Promise.resolve([{ ...good, values: [{ ...value, metricName: 7 }] }])],
	])("a process %s costs its own part, is counted and told once", async (_, request) => {
		const told: string[] = [];
		const collect = collectorOf([asked("balancer", request), answering("shard-0")], (text) => told.push(text));
		const text = await collect();
		expect(text).toContain('shardcast_missing_answers_total{question="metrics",source="balancer",process="supervisor"} 1');
		expect(linesOf(text, "process_resident_memory_bytes{")).toHaveLength(2);
		expect(text).not.toContain("good_total");
		await collect();
		expect(told).toEqual([expect.stringMatching(/^the answer to "metrics" goes out without balancer: /)]);
	});

	it("tells the version, and how many answers there were", async () => {
		const collect = collectorOf([]);
		await collect();
		const text = await collect();
		expect(text).toContain(`shardcast_build_info{version="0.2.0",node="${process.version}",process="supervisor"} 1`);
		expect(text).toContain('shardcast_scrapes_total{process="supervisor"} 2');
	});
});

describe("ProcessMetrics", () => {
	it("reads what a part keeps in its memory at each scrape, with the label shard", async () => {
		const metrics = new ProcessMetrics("shard-3", 3);
		const partition = { topic: "market", partition: 0, records: 5, bytes: 500, lagRecords: 7 };
		let reading: KafkaReading = {
			nowMs: 4000,
			worker: { ...zeros, pausedMs: 1500, committedMs: 1000, invalidJson: 2, connection: 3 },
			host: { ...zeros, assignments: 2 },
			troubles: ["connection"],
			ringDepthBytes: 64,
			partitions: [partition, { ...partition, partition: 1, records: 6, lagRecords: null }],
		};
		metrics.addReading(kafkaMetrics, () => reading);
		const lines = (await renderMetrics([await metrics.values()])).split("\n");
		expect(lines).toContain('shardcast_kafka_records_total{topic="market",shard="3"} 11');
		expect(lines).toContain('shardcast_kafka_paused_seconds_total{shard="3"} 1.5');
		expect(lines).toContain('shardcast_kafka_commit_age_seconds{shard="3"} 3');
		expect(lines).toContain('shardcast_kafka_skipped_total{reason="invalid_json",shard="3"} 2');
		expect(lines).toContain('shardcast_kafka_errors_total{kind="connection",shard="3"} 3');
		expect(lines).toContain('shardcast_kafka_rebalances_total{change="assigned",shard="3"} 2');
		// Of a partition that another shard reads, the lag is not ours to tell.
		expect(lines.filter((line) => line.startsWith("shardcast_kafka_lag_records{"))).toEqual([
			'shardcast_kafka_lag_records{topic="market",partition="0",shard="3"} 7',
		]);
		reading = { ...reading, ringDepthBytes: 128, worker: { ...reading.worker, committedMs: 0 } };
		const later = await renderMetrics([await metrics.values()]);
		expect(later).toContain('shardcast_kafka_ring_depth_bytes{shard="3"} 128');
		expect(later, "nothing was committed yet").not.toContain("shardcast_kafka_commit_age_seconds{");
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
	it("has a line for every metric, no name twice, each with one sentence", async () => {
		for (const row of [
			"| `shardcast_kafka_records_total` | counter | records | `topic`, `shard` |",
			"| `shardcast_kafka_delivered_total` | counter | records | `shard` |",
			"| `shardcast_ingest_to_send_seconds` | histogram | seconds | `shard` |",
			"| `shardcast_config_reloads_total` | counter |  | `result`, `process` |",
			"| `shardcast_build_info` | gauge |  | `version`, `node`, `process` |",
		])
			expect(await metricsReference(), "labels that a process adds").toContain(row);
		const rows = Object.values(metricTables).flat();
		expect(new Set(rows.map(({ name }) => name)).size).toBe(rows.length);
		const lines = (await metricsReference()).split("\n");
		for (const { name, help } of rows) {
			expect(help).toMatch(/^[A-Z0-9].*\.$/);
			expect(lines.filter((line) => line.startsWith(`| \`${name}\` |`))).toHaveLength(1);
		}
		expect(lines.some((line) => line.startsWith("| `process_cpu_seconds_total` |"))).toBe(true);
	});
});
