import { httpRequest, RawClient, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KafkaRig } from "./ingest-rig.ts";

const shards = 2;

describe.skipIf(!(await kafkaForTests()))("--publish-via kafka", () => {
	let rig: KafkaRig;
	let topics = 0;
	beforeAll(async () => {
		rig = await KafkaRig.create({ own: true });
	});
	afterEach(() => rig.reset());
	afterAll(() => rig.close());

	async function start(mode: string, ...flags: string[]): Promise<string> {
		const topic = `published${topics++}`;
		await rig.client.createTopic(topic, 3);
		await rig.start(shards, ["--publish-via", "kafka", "--kafka-publish-topic", topic, "--kafka-mode", mode, ...flags]);
		return topic;
	}

	const publish = (message: object) =>
		httpRequest(`${rig.cluster.httpUrl}/api/publish`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(message),
			// kafkajs tries for some ten seconds before it gives up.
			deadlineMs: 40_000,
		});

	for (const mode of ["per-shard", "shared"])
		it(`${mode}: what a client sends reaches all others once, in order, same type, and never comes back to it`, async () => {
			const topic = await start(mode);
			const urls = [rig.cluster.shardUrl(0), rig.cluster.shardUrl(0), rig.cluster.shardUrl(1), rig.cluster.url];
			const [sender, ...others] = await rig.listen(urls);
			const elsewhere = await RawClient.open(`${rig.cluster.shardUrl(1)}/?channels=other`);
			for (let sequence = 0; sequence < 50; sequence++) sender!.send(`${sequence}`);
			sender!.send(new Uint8Array([0, 255, 128]));
			for (const client of others) await client.waitForMessages(51, 10_000);
			for (const client of others) {
				expect(client.texts().slice(0, 50)).toEqual(Array.from({ length: 50 }, (_, sequence) => `${sequence}`));
				expect(client.messages[50]).toEqual({ binary: true, bytes: Buffer.from([0, 255, 128]) });
			}
			expect(sender!.messages).toEqual([]);
			// A message to everybody also goes to clients that listen to some channels.
			expect(elsewhere.messages.length).toBe(51);
			const offsets = await rig.client.admin.fetchTopicOffsets(topic);
			expect(offsets.reduce((sum, { high }) => sum + Number(high), 0)).toBe(51);
		});

	it("POST /api/publish answers once Kafka has it, with 503 when Kafka has not", async () => {
		const topic = await start("per-shard", "--max-payload", "2MiB", "--max-buffered", "8MiB");
		const [listener, other] = await Promise.all(["a", "b"].map((channel) => RawClient.open(`${rig.cluster.url}/?channels=${channel}`)));
		const taken = await publish({ channel: "a", data: { price: 1 } });
		expect(taken.status).toBe(200);
		const written = async () => (await rig.client.admin.fetchTopicOffsets(topic)).reduce((sum, { high }) => sum + Number(high), 0);
		expect(await written()).toBe(1);
		await listener!.waitForMessages(1);
		expect(listener!.texts()).toEqual(['{"price":1}']);
		expect(other!.messages).toEqual([]);

		// Together more than Kafka takes in one batch; one is more than it takes at all.
		const large = await Promise.all(Array.from({ length: 60 }, () => publish({ channel: "b", data: "x".repeat(60 * 1024) })));
		expect(large.map(({ status }) => status)).toEqual(Array(60).fill(200));
		const tooLarge = await publish({ channel: "b", data: "x".repeat(1_100_000) });
		expect(tooLarge.status).toBe(503);
		expect(tooLarge.body).toContain(`topic ${topic} takes at most 1048588 (max.message.bytes)`);
		await other!.waitForMessages(60);

		const { broker } = rig.kafka;
		if (broker === null) return;
		await broker.kill();
		const refused = await publish({ channel: "a", data: 2 });
		expect(refused.status).toBe(503);
		expect(refused.body).toContain("Kafka did not take it");
		await broker.start();
		await waitFor(async () => (await publish({ channel: "a", data: 3 })).status === 200, {
			deadlineMs: 40_000,
			what: "Kafka to take messages again",
		});
		await waitFor(() => listener!.texts().includes("3"), { deadlineMs: 20_000, what: "the message" });
		expect(new Set(listener!.texts()).size).toBe(listener!.texts().length);
	});

	it("a WebSocket learns by 1013 that Kafka is away, within a bound; one that floods is refused first, and nobody hears anything twice", async () => {
		const { broker } = rig.kafka;
		if (broker === null) return;
		await start("per-shard");
		const url = rig.cluster.shardUrl(0);
		const [listener, flooder, other, late] = await Promise.all([url, url, url, url].map((each) => RawClient.open(each)));
		other!.send("before");
		await listener!.waitForMessages(1);
		// A broker that does not even refuse: connections stand, no answer comes.
		process.kill(broker.pid!, "SIGSTOP");
		try {
			for (let sent = 0; sent < 3000; sent++) flooder!.send(`flood ${sent}`);
			expect((await within(flooder!.closed, 5000)).code).toBe(1013);
			const sentMs = performance.now();
			other!.send("while it is away");
			expect((await within(other!.closed, 20_000)).code).toBe(1013);
			expect(performance.now() - sentMs).toBeGreaterThan(5000);
			expect((await publish({ data: "too" })).status).toBe(503);
		} finally {
			process.kill(broker.pid!, "SIGCONT");
		}
		await waitFor(async () => (await publish({ data: "works again" })).status === 200, {
			deadlineMs: 40_000,
			what: "Kafka to take messages again",
		});
		late!.send("after");
		await waitFor(() => listener!.texts().includes("after"), { deadlineMs: 10_000, what: "the message" });
		expect(new Set(listener!.texts()).size).toBe(listener!.texts().length);
		const metrics = (await httpRequest(`${rig.cluster.httpUrl}/metrics`)).body;
		expect(metrics).toMatch(/shardcast_kafka_produced_total\{.*outcome="unanswered".*\} [1-9]/);
	}, 120_000);
});

async function within<T>(promise: Promise<T>, deadlineMs: number): Promise<T> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<never>((_, reject) => {
		timer = setTimeout(() => reject(new Error(`not within ${deadlineMs} ms`)), deadlineMs);
	});
	return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
