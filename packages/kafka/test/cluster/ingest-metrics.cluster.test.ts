import { kafkaMetrics } from "@shardcast/scoreboard";
import { Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KafkaRig } from "../support/ingest-rig.ts";

describe.skipIf(!(await kafkaForTests()))("metrics of Kafka ingest in a cluster", () => {
	let rig: KafkaRig;
	beforeAll(async () => {
		rig = await KafkaRig.create();
	});
	afterEach(() => rig.reset());
	afterAll(() => rig.close());

	const shards = 2;
	const partitions = 3;
	const perPartition = 50;

	/**
	 * Consumes what is produced.
	 * @param readers partitions that are read, once for each shard that reads them. While one is handed over nobody tells its lag.
	 * @returns the scrape in which every delivery is counted.
	 */
	async function scrapeAfter(topic: string, readers: number, flags: readonly string[]): Promise<Scrape> {
		await rig.client.createTopic(topic, partitions);
		await rig.start(shards, ["--kafka-topics", topic, ...flags]);
		const clients = await rig.listen([0, 0, 1].map((shard) => rig.cluster.shardUrl(shard)));
		await rig.produce(topic, partitions, perPartition);
		await Promise.all(clients.map((client) => rig.caughtUp(client)));
		return waitFor(
			async () => {
				const scrape = await Scrape.of(rig.cluster.httpUrl);
				expect(scrape.sum("shardcast_deliveries_total")).toBe(clients.length * partitions * perPartition);
				expect(scrape.labels("shardcast_kafka_commit_age_seconds", "shard").length).toBe(shards);
				expect(scrape.labels("shardcast_kafka_lag_records", "partition").length).toBe(readers);
				// Each process tells its own, one after the other.
				expect(scrape.sum("shardcast_kafka_lag_records")).toBe(0);
				return scrape;
			},
			{ deadlineMs: 10_000, what: "the metrics to agree", everyMs: 50 },
		);
	}

	it("per-shard: each shard counts every record; nothing lags when all has been delivered", { tags: ["long"] }, async () => {
		const topic = "metrics-per-shard";
		const scrape = await scrapeAfter(topic, shards * partitions, ["--kafka-mode", "per-shard"]);
		const records = partitions * perPartition;
		for (const shard of ["0", "1"]) {
			expect(scrape.sum("shardcast_kafka_records_total", { shard, topic })).toBe(records);
			expect(scrape.sum("shardcast_kafka_delivered_total", { shard })).toBe(records);
			expect(scrape.labels("shardcast_kafka_lag_records", "partition").filter((name) => name === "0")).toHaveLength(shards);
		}
		expect(scrape.sum("shardcast_kafka_lag_records")).toBe(0);
		expect(scrape.sum("shardcast_ingest_to_send_seconds_count")).toBe(3 * records);
		expect(scrape.sum("shardcast_publish_to_send_seconds_count")).toBe(0);
		expect(scrape.sum("shardcast_kafka_ring_high_water_bytes")).toBeGreaterThan(0);
		expect(kafkaMetrics.map(({ name }) => name).filter((name) => !scrape.names().includes(name))).toEqual([]);
	});

	it("shared: each record is counted once, by the shard that reads its partition", async () => {
		const topic = "metrics-shared";
		const scrape = await scrapeAfter(topic, partitions, ["--kafka-mode", "shared"]);
		expect(scrape.sum("shardcast_kafka_records_total", { topic })).toBe(partitions * perPartition);
		expect(scrape.labels("shardcast_kafka_lag_records", "partition").sort()).toEqual(["0", "1", "2"]);
		expect(scrape.sum("shardcast_kafka_lag_records")).toBe(0);
	});
});
