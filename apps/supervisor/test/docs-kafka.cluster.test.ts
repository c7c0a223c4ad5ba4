import { join } from "node:path";
import { type Cluster, LibraryClient, Scrape, startCluster, waitFor } from "@shardcast/testkit";
import { acquireKafka, connectKafka, type KafkaClient, kafkaForTests, type TestKafka } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";

const route = join(import.meta.dirname, "../../../examples/kafka-route.mjs");

/** The Kafka part of docs/getting-started.md, with a broker of its own. */
describe.skipIf(!(await kafkaForTests()))("getting started with Kafka", () => {
	const topic = `ticks-${process.pid}`;
	let kafka: TestKafka;
	let producer: KafkaClient;
	let cluster: Cluster | undefined;
	beforeAll(async () => {
		kafka = await acquireKafka();
		producer = await connectKafka(kafka.brokers);
		await producer.createTopic(topic, 2);
	});
	afterEach(async () => {
		await cluster?.stop();
		cluster = undefined;
	});
	afterAll(async () => {
		await producer?.close();
		await kafka?.release();
	});

	async function startWith(flags: readonly string[]): Promise<Cluster> {
		const started = await startCluster({ flags: ["--kafka-brokers", kafka.brokers, "--kafka-topics", topic, ...flags] });
		cluster = started;
		await waitFor(async () => (await started.health()).status === "healthy", { deadlineMs: 20_000, what: "a cluster that reads" });
		return started;
	}
	const produce = (...messages: { key: string | null; value: string }[]) => producer.producer.send({ topic, messages });

	it("a record's channel is made from the template", async () => {
		const { url } = await startWith(["--kafka-channel", "{key}.{topic}"]);
		const clients = [await LibraryClient.open(`${url}/?channels=BTC.${topic}`), await LibraryClient.open(`${url}/?channels=ETH.${topic}`)];
		await produce({ key: "BTC", value: '{"price":1}' }, { key: "ETH", value: '{"price":2}' }, { key: "BTC", value: '{"price":3}' });
		await Promise.all([clients[0]!.waitForMessages(2, 10_000), clients[1]!.waitForMessages(1, 10_000)]);
		expect(clients.map((client) => client.texts())).toEqual([['{"price":1}', '{"price":3}'], ['{"price":2}']]);
		for (const client of clients) await client.close();
	});

	it("examples/kafka-route.mjs chooses channels and payloads; what it throws at costs one record", async () => {
		const { url, httpUrl } = await startWith(["--kafka-route", route]);
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
