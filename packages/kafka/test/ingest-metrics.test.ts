import { kafkaMetrics } from "@shardcast/scoreboard";
import { describe, expect, it } from "vitest";
import { hostCounters, workerCounters } from "../src/ingest-counters.ts";
import { IngestMemory } from "../src/ingest-memory.ts";
import { kafkaReading } from "../src/ingest-metrics.ts";
import { type Refusal, refusalWords } from "../src/worker/record-router.ts";

const market = { row: 3, topic: "market", partition: 0 };
const other = { row: 4, topic: "market", partition: 1 };

function ingestWith(memory: IngestMemory) {
	return kafkaReading({
		memory,
		reader: { backlogBytes: () => 96 } as never,
		assignment: { assigned: [market], known: [market, other] } as never,
	});
}

// The table in @shardcast/scoreboard names the ingest's counters by string. Here the two are held against each other.
describe("metrics of the ingest", () => {
	it("every counter is a number in some metric, and every metric's values are numbers", () => {
		const read = new Set<string>();
		const reading = ingestWith(IngestMemory.create(8, 65_536));
		const watched = (counters: Readonly<Record<string, number>>) =>
			new Proxy(counters, {
				get: (target, name, receiver) => {
					read.add(String(name));
					return Reflect.get(target, name, receiver);
				},
			});
		const watching = { ...reading, worker: watched(reading.worker), host: watched(reading.host) };
		for (const { name, sample, labels } of kafkaMetrics)
			for (const { labels: given, value } of sample(watching)) {
				expect(value, name).toEqual(expect.any(Number));
				expect(Object.keys(given), name).toEqual(labels);
			}
		expect([...workerCounters, ...hostCounters].map(([name]) => name).filter((name) => !read.has(name) && !elsewhere.has(name))).toEqual(
			[],
		);
	});

	it("a record that is not delivered has the same word in the log as in the metric", () => {
		const memory = IngestMemory.create(8, 65_536);
		const counters = Object.keys(refusalWords) as Refusal[];
		for (const [index, counter] of counters.entries()) memory.worker.add(counter, index + 1);
		const { sample } = kafkaMetrics.find(({ name }) => name === "shardcast_kafka_skipped_total")!;
		const counts = new Map(Array.from(sample(ingestWith(memory)), ({ labels, value }) => [labels.reason, value]));
		expect(counters.map((counter) => counts.get(refusalWords[counter]))).toEqual(counters.map((_, index) => index + 1));
		// The loop counts the last one, and logs it in other words.
		expect([...counts.keys()].toSorted()).toEqual([...Object.values(refusalWords), "too_large_for_history"].toSorted());
	});

	it("lag is what this shard has yet to deliver of the partitions that it reads", () => {
		const memory = IngestMemory.create(8, 65_536);
		memory.setCell(3, "logEnd", 120);
		memory.setCell(3, "delivered", 100);
		memory.setCell(4, "logEnd", 50);
		memory.setCell(3, "records", 30);
		memory.setCell(4, "records", 12);
		const { partitions, ringDepthBytes } = ingestWith(memory);
		expect(partitions.map(({ lagRecords }) => lagRecords)).toEqual([20, null]);
		expect(partitions.map(({ records }) => records)).toEqual([30, 12]);
		expect(ringDepthBytes).toBe(96);
	});
});

/** Counters that no metric takes, with why. */
const elsewhere = new Set<string>([
	"records", // by partition, from the cells
	"bytes",
	"delivered", // what the loop drained says the same
]);
