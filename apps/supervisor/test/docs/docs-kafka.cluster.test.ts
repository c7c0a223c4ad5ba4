// @module-tag long
import { join } from "node:path";
import { type Cluster, LibraryClient, ManagedProcess, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { acquireKafka, connectKafka, type KafkaClient, kafkaForTests, type TestKafka } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../../../..");
const route = join(root, "examples/kafka-route.mjs");
/** What `npm run demo:market` runs. */
const demo = join(root, "examples/market.mjs");

/** The Kafka part of docs/tutorials/getting-started.md. */
describe.skipIf(!(await kafkaForTests()))("getting started with Kafka", () => {
	const topic = `trade-${process.pid}`;
	let kafka: TestKafka;
	let producer: KafkaClient;
	let cluster: Cluster | undefined;
	beforeAll(async () => {
		kafka = await acquireKafka();
		producer = await connectKafka(kafka.brokers);
		// The demo makes those that are missing; a broker that is not ours may have them.
		const there = await producer.admin.listTopics();
		for (const name of [topic, "trade", "quote"]) if (!there.includes(name)) await producer.createTopic(name, 2);
	});
	afterEach(async () => {
		await cluster?.stop();
		cluster = undefined;
	});
	afterAll(async () => {
		await producer?.close();
		await kafka?.release();
	});

	async function startWith(topics: string, flags: readonly string[]): Promise<Cluster> {
		const started = await startCluster({ flags: ["--kafka-brokers", kafka.brokers, "--kafka-topics", topics, ...flags] });
		cluster = started;
		await waitFor(async () => (await started.health()).status === "healthy", { deadlineMs: 20_000, what: "a cluster that reads" });
		return started;
	}
	const produce = (...messages: { key: string | null; value: string }[]) => producer.producer.send({ topic, messages });

	it("demo:market to the clients of a channel made from the template", async () => {
		const { url } = await startWith("trade,quote", ["--kafka-channel", "{key}.{topic}"]);
		const client = await LibraryClient.open(`${url}/?channels=BTC.trade`);
		const market = await ManagedProcess.start(demo, ["--kafka-brokers", kafka.brokers, "--seconds", "2"]);
		await client.waitForMessages(10, 15_000);
		expect((await market.exited).code, market.log()).toBe(0);
		for (const text of client.texts()) expect(JSON.parse(text)).toMatchObject({ symbol: "BTC", side: expect.any(String) });
		await client.close();
	});

	it("examples/kafka-route.mjs chooses channels and payloads; what it throws at costs one record", async () => {
		const { url, httpUrl } = await startWith(topic, ["--kafka-route", route]);
		const client = await LibraryClient.open(`${url}/?channels=BTC.${topic},big`);
		await produce(
			{ key: null, value: '{"price":1}' },
			{ key: "BTC", value: "no JSON" },
			{ key: "BTC", value: '{"price":20000,"volume":1}' },
			{ key: "ETH", value: '{"price":3000}' },
			{ key: "BTC", value: '{"price":5}' },
		);
		await client.waitForMessages(2, 10_000);
		expect(client.texts().sort()).toEqual(['{"symbol":"BTC","price":20000}', '{"symbol":"BTC","price":5}']);
		expect((await Scrape.of(httpUrl)).sum("shardcast_kafka_skipped_total")).toBeGreaterThanOrEqual(1);
		await client.close();
	});
});
