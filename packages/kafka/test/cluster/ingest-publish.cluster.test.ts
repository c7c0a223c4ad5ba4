import { httpRequest, RawClient, waitFor } from "@shardcast/testkit";
import { type KafkaBroker, type KafkaNeeds, kafkaForTests } from "@shardcast/testkit/kafka";
import { describe, expect, it } from "vitest";
import { KafkaRig } from "../support/ingest-rig.ts";

const shards = 2;

describe.skipIf(!(await kafkaForTests()))("--publish-via kafka", () => {
	let topics = 0;

	async function withRig(needs: KafkaNeeds, work: (rig: KafkaRig) => Promise<void>): Promise<void> {
		const rig = await KafkaRig.create(needs);
		try {
			await work(rig);
		} finally {
			await rig.reset().finally(() => rig.close());
		}
	}

	/** These stop their broker, and wait for most of their time: side by side. */
	const itWithBroker = (name: string, work: (rig: KafkaRig, broker: KafkaBroker | null) => Promise<void>) =>
		it.concurrent(name, { timeout: 120_000, tags: ["long"] }, () => withRig({ own: true }, (rig) => work(rig, rig.kafka.broker)));

	async function start(rig: KafkaRig, mode: string, ...flags: string[]): Promise<string> {
		const topic = `published-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 3);
		const own = ["--kafka-publish-topic", topic, "--kafka-group", topic];
		await rig.start(shards, ["--publish-via", "kafka", "--kafka-mode", mode, ...own, ...flags]);
		return topic;
	}

	const publish = (rig: KafkaRig, message: object) =>
		httpRequest(`${rig.cluster.httpUrl}/api/publish`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(message),
			// kafkajs tries for some ten seconds before it gives up.
			deadlineMs: 40_000,
		});

	for (const mode of ["per-shard", "shared"])
		it(
			`${mode}: what a client sends reaches all others once, in order, same type, and never comes back to it`,
			{ tags: mode === "per-shard" ? ["long"] : [] },
			() =>
				withRig({}, async (rig) => {
					const topic = await start(rig, mode);
					const urls = [rig.cluster.shardUrl(0), rig.cluster.shardUrl(0), rig.cluster.shardUrl(1), rig.cluster.url];
					const [sender, ...others] = await rig.listen(urls);
					const elsewhere = await RawClient.open(`${rig.cluster.shardUrl(1)}/?channels=other`);
					for (let sequence = 0; sequence < 50; sequence++) sender!.send(`${sequence}`);
					sender!.send(new Uint8Array([0, 255, 128]));
					for (const client of [...others, elsewhere]) await client.waitForMessages(51, 10_000);
					for (const client of others) {
						expect(client.texts().slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, sequence) => `${sequence}`));
						expect(client.messages[50]).toEqual({ binary: true, bytes: Buffer.from([0, 255, 128]) });
					}
					expect(sender!.messages).toEqual([]);
					// A message to everybody also goes to clients that listen to some channels.
					expect(elsewhere.messages.length).toBe(51);
					const offsets = await rig.client.admin.fetchTopicOffsets(topic);
					expect(offsets.reduce((sum, { high }) => sum + Number(high), 0)).toBe(51);
				}),
		);

	itWithBroker("POST /api/publish answers once Kafka has it, with 503 when Kafka has not", async (rig, broker) => {
		const topic = await start(rig, "per-shard", "--max-payload", "2MiB", "--max-buffered", "8MiB");
		const [listener, other] = await Promise.all(["a", "b"].map((channel) => RawClient.open(`${rig.cluster.url}/?channels=${channel}`)));
		const taken = await publish(rig, { channel: "a", data: { price: 1 } });
		expect(taken.status).toBe(200);
		const written = async () => (await rig.client.admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0);
		expect(await written()).toBe(1);
		await listener!.waitForMessages(1, 20_000);
		expect(listener!.texts()).toEqual(['{"price":1}']);
		expect(other!.messages).toEqual([]);

		// Together more than Kafka takes in one batch; one is more than it takes at all.
		const large = await Promise.all(Array.from({ length: 60 }, () => publish(rig, { channel: "b", data: "x".repeat(60 * 1024) })));
		expect(large.map(({ status }) => status)).toEqual(Array(60).fill(200));
		const tooLarge = await publish(rig, { channel: "b", data: "x".repeat(1_100_000) });
		expect(tooLarge.status).toBe(503);
		expect(tooLarge.body).toContain(`topic ${topic} accepts at most 1048588 (max.message.bytes)`);
		await other!.waitForMessages(60, 20_000);

		if (broker === null) return;
		await broker.kill();
		const refused = await publish(rig, { channel: "a", data: 2 });
		expect(refused.status).toBe(503);
		expect(refused.body).toContain("Kafka did not take it");
		await broker.start();
		await waitFor(async () => (await publish(rig, { channel: "a", data: 3 })).status === 200, {
			deadlineMs: 40_000,
			what: "Kafka to take messages again",
		});
		await waitFor(() => listener!.texts().includes("3"), { deadlineMs: 20_000, what: "the message" });
		expect(new Set(listener!.texts()).size).toBe(listener!.texts().length);
	});

	itWithBroker(
		"a WebSocket learns by 1013 that Kafka is away, within a bound; one that floods is refused first, and nobody hears anything twice",
		async (rig, broker) => {
			if (broker === null) return;
			await start(rig, "per-shard");
			const url = rig.cluster.shardUrl(0);
			const [listener, flooder, other, late] = await Promise.all([url, url, url, url].map((each) => RawClient.open(each)));
			other!.send("before");
			await listener!.waitForMessages(1, 20_000);
			// A broker that does not even refuse: connections stand, no answer comes.
			process.kill(broker.pid!, "SIGSTOP");
			try {
				for (let sent = 0; sent < 3000; sent++) flooder!.send(`flood ${sent}`);
				expect((await within(flooder!.closed, 5000)).code).toBe(1013);
				const sentMs = performance.now();
				other!.send("while it is away");
				expect((await within(other!.closed, 20_000)).code).toBe(1013);
				expect(performance.now() - sentMs).toBeGreaterThan(5000);
				expect((await publish(rig, { data: "too" })).status).toBe(503);
			} finally {
				process.kill(broker.pid!, "SIGCONT");
			}
			await waitFor(async () => (await publish(rig, { data: "works again" })).status === 200, {
				deadlineMs: 40_000,
				what: "Kafka to take messages again",
			});
			late!.send("after");
			await waitFor(() => listener!.texts().includes("after"), { deadlineMs: 20_000, what: "the message" });
			expect(new Set(listener!.texts()).size).toBe(listener!.texts().length);
			// On a busy machine the processes may not answer in time, which is 503.
			const scrape = async () => {
				const { status, body } = await httpRequest(`${rig.cluster.httpUrl}/metrics`);
				return status === 200 ? body : null;
			};
			expect(await waitFor(scrape, { deadlineMs: 20_000, what: "the metrics" })).toMatch(
				/shardcast_kafka_produced_total\{.*outcome="unanswered".*\} [1-9]/,
			);
		},
	);
});

async function within<T>(promise: Promise<T>, deadlineMs: number): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms`)), deadlineMs);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
