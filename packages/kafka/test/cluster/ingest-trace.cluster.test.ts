import { type Cluster, OtlpCollector, type RawClient, type ReceivedSpan, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { KafkaRig } from "../support/ingest-rig.ts";

const deadlineMs = 20_000;
const parentId = "00f067aa0ba902b7";
const traceId = (number: number) => number.toString(16).padStart(32, "b");

/** Two shards, of which one reads the only partition of a topic: the other one gets its records over the bus, or from the log. */
describe.skipIf(!(await kafkaForTests()))("a record of Kafka with a trace context", () => {
	const plain = `trace-${process.pid}`;
	const kept = `${plain}-kept`;
	let rig: KafkaRig;
	let cluster: Cluster;
	let collector: OtlpCollector;
	let clients: RawClient[];
	beforeAll(async () => {
		[rig, collector] = await Promise.all([KafkaRig.create(), OtlpCollector.start()]);
		for (const topic of [plain, kept]) await rig.client.createTopic(topic, 1);
		cluster = await rig.start(2, [
			...["--kafka-topics", `${plain},${kept}`, "--kafka-channel", "{topic}:x", "--kafka-group", plain, "--kafka-mode", "shared"],
			...["--otlp-endpoint", collector.url, "--trace-sample", "0", "--slow-message-log", "5s"],
			...["--channel-namespaces", JSON.stringify([{ name: kept, history_size: 10, history_ttl: "1m" }, { name: plain }])],
		]);
		clients = await rig.listen([0, 1].flatMap((shard) => [plain, kept].map((topic) => `${cluster.shardUrl(shard)}/?channels=${topic}:x`)));
	});
	afterAll(async () => {
		await rig?.reset().finally(() => rig.close());
		await collector?.close();
	});

	const produce = (topic: string, value: string, headers: Record<string, string>, atMs = Date.now()) =>
		rig.client.producer.send({ topic, acks: -1, messages: [{ partition: 0, value, headers, timestamp: String(atMs) }] });
	const arrived = (topic: string, text: string) =>
		Promise.all(
			clients
				.filter((_, index) => index % 2 === (topic === plain ? 0 : 1))
				.map((client) => waitFor(() => client.texts().includes(text), { deadlineMs, what: text })),
		);

	it.each([
		[1, plain, "bus"],
		[2, kept, "log"],
	])("(%i) is one trace up to the clients of both shards", async (number, topic, hop) => {
		await produce(topic, `traced ${number}`, { traceparent: `00-${traceId(number)}-${parentId}-01`, tracestate: "vendor=1" });
		await arrived(topic, `traced ${number}`);
		const spans = await collector.trace(traceId(number), 5, deadlineMs);
		const named = (name: string) => spans.filter((span) => span.name === name);
		const [consumed] = named(`process ${topic}`) as [ReceivedSpan];
		expect(consumed).toMatchObject({
			...{ parentId, kind: 5, state: "vendor=1" },
			attributes: { "messaging.system": "kafka", "messaging.kafka.offset": 0, "messaging.destination.partition.id": "0" },
		});
		const hops = named(hop);
		expect(hops.map((span) => span.parentId)).toEqual([consumed.spanId, consumed.spanId]);
		const delivered = named("deliver");
		expect(new Set(delivered.map((span) => span.parentId))).toEqual(new Set(hops.map((span) => span.spanId)));
		expect(new Set(delivered.map(({ attributes }) => attributes["shardcast.shard"]))).toEqual(new Set([0, 1]));
		for (const { attributes } of delivered)
			expect(attributes).toMatchObject({ "messaging.destination.name": `${topic}:x`, "shardcast.clients": 1 });
	});

	it("that is not valid, or not sampled, is delivered like one without", async () => {
		const contexts = ["nonsense", `00-${traceId(3)}-${parentId}-00`, `00-${"0".repeat(32)}-${parentId}-01`, "x".repeat(5000)];
		for (const [index, traceparent] of contexts.entries()) await produce(plain, `other ${index}`, { traceparent });
		for (const index of contexts.keys()) await arrived(plain, `other ${index}`);
		await produce(plain, "last", { traceparent: `00-${traceId(4)}-${parentId}-01` });
		await collector.trace(traceId(4), 5, deadlineMs);
		expect(new Set(collector.spans.map((span) => span.traceId))).toEqual(new Set([1, 2, 4].map(traceId)));
		expect(collector.problems).toEqual([]);
	});

	it("that was in Kafka for long is a slow message, in one line with its trace", async () => {
		await produce(kept, "late", { traceparent: `00-${traceId(5)}-${parentId}-01` }, Date.now() - 60_000);
		await arrived(kept, "late");
		const line = await waitFor(
			() =>
				cluster
					.log()
					.split("\n")
					.find((text) => text.includes("slow message")),
			{
				...{ deadlineMs, what: "the line about the slow message" },
			},
		);
		const { channel, offset, trace, kafkaMs, ms, size } = JSON.parse(line!) as Record<string, number | string>;
		expect({ channel, offset, trace, size }).toEqual({ channel: `${kept}:x`, offset: 2, trace: traceId(5), size: 4 });
		expect(kafkaMs).toBeGreaterThanOrEqual(60_000);
		expect(ms).toBeGreaterThanOrEqual(Number(kafkaMs));
	});
});
