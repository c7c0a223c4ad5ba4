import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

const shards = 2;
const modes = ["per-shard", "shared"] as const;

/** Of a broker that is down. */
function cutLastBatch(directory: string, topic: string, partition: number): void {
	const path = join(directory, "log", `${topic}-${partition}`, "00000000000000000000.log");
	const log = readFileSync(path);
	let last = 0;
	for (let at = 0; at + 12 <= log.length && log.readInt32BE(at + 8) > 0; at += 12 + log.readInt32BE(at + 8)) last = at;
	truncateSync(path, last);
}

describe.skipIf(!(await kafkaForTests()))("exactly once while Kafka changes", () => {
	let rig: KafkaRig;
	let topics = 0;
	beforeAll(async () => {
		rig = await KafkaRig.create({ own: true });
	});
	afterEach(() => rig.reset());
	afterAll(() => rig.close());

	const urls = () => [rig.cluster.shardUrl(0), rig.cluster.shardUrl(0), rig.cluster.shardUrl(1), rig.cluster.url];

	for (const mode of modes) {
		it(`${mode}: partitions that are added under load are read from their first record`, async () => {
			const topic = `grow${topics++}`;
			await rig.client.createTopic(topic, 2);
			await rig.start(shards, ["--kafka-topics", topic, "--kafka-mode", mode]);
			const clients = await rig.listen(urls());
			const stop = rig.produceSteadily(topic, () => 2);
			await rig.client.admin.createPartitions({ topicPartitions: [{ topic, count: 5 }] });
			await waitFor(async () => (await rig.client.admin.fetchTopicOffsets(topic)).length === 5, { deadlineMs: 5000, what: "5 partitions" });
			await stop();
			await rig.renewProducer();
			const stopGrown = rig.produceSteadily(topic, () => 5);
			await Promise.all(
				clients.map((client) => waitFor(() => client.texts().includes(`${topic}/4:10`), { deadlineMs: 10_000, what: "the new partition" })),
			);
			await stopGrown();
			await Promise.all(clients.map((client) => rig.caughtUp(client)));
			expect(rig.report(clients)).toMatchObject(flawless);
		});

		it(`${mode}: topics that come to match a pattern are read from their first record, topics of others are not`, async () => {
			const prefix = `pattern${topics++}`;
			await rig.client.createTopic(`${prefix}.a`, 1);
			await rig.client.createTopic(`other-${prefix}.b`, 1);
			await rig.start(shards, ["--kafka-topics", `/${prefix}\\..+/`, "--kafka-mode", mode]);
			const clients = await rig.listen(urls());
			await rig.produce(`${prefix}.a`, 1, 50);
			await rig.client.createTopic(`${prefix}.b`, 2);
			await rig.produce(`${prefix}.b`, 2, 50);
			await rig.client.producer.send({ topic: `other-${prefix}.b`, messages: [{ value: "not for us" }] });
			await Promise.all(clients.map((client) => rig.caughtUp(client)));
			expect(rig.report(clients)).toMatchObject({ ...flawless, received: clients.length * 150 });
			for (const client of clients) expect(client.texts()).not.toContain("not for us");
		});

		it(`${mode}: a broker that is killed, and comes back without the last that it had taken, costs time, no record`, async () => {
			const { broker } = rig.kafka;
			if (broker === null) return;
			const topic = `restart${topics++}`;
			await rig.client.createTopic(topic, 3);
			await rig.start(shards, ["--kafka-topics", topic, "--kafka-mode", mode]);
			const clients = await rig.listen(urls());
			await rig.produce(topic, 3, 150);
			await rig.produce(topic, 3, 50);
			await Promise.all(clients.map((client) => rig.caughtUp(client)));
			await broker.kill();
			// As an unclean election leaves it: of one partition the last records are delivered, and in no log any more.
			cutLastBatch(broker.directory, topic, 1);
			await waitFor(async () => (await rig.cluster.health()).reasons.some((reason) => reason.includes("Kafka")), {
				deadlineMs: 10_000,
				what: "health to say that Kafka is gone",
			});
			expect((await rig.cluster.health()).status).toBe("degraded");
			await broker.start();
			// The idempotent one of before has lost its count with the records.
			await rig.renewProducer();
			await rig.produce(topic, 3, 200);
			await Promise.all(clients.map((client) => rig.caughtUp(client, 30_000)));
			// The new records of that partition have numbers that were delivered before, and come all the same.
			expect(rig.report(clients)).toMatchObject(flawless);
			const lost = new RegExp(
				`took 50 records with it.*"topic":"${topic}","partition":1|"topic":"${topic}","partition":1.*took 50 records`,
				"g",
			);
			expect(rig.cluster.log().match(lost)).toHaveLength(mode === "shared" ? 1 : shards);
			await rig.healthy();
		});
	}

	for (const mode of modes)
		it(`${mode}: a topic that is deleted and recreated is read from its first record, and the reset is counted`, async () => {
			const topic = `recreated${topics++}`;
			await rig.client.createTopic(topic, 1);
			await rig.start(shards, ["--kafka-topics", topic, "--kafka-mode", mode]);
			const clients = await rig.listen(urls());
			await rig.produce(topic, 1, 100);
			await Promise.all(clients.map((client) => rig.caughtUp(client)));
			await rig.client.admin.deleteTopics({ topics: [topic] });
			await waitFor(async () => (await rig.cluster.health()).reasons.some((reason) => reason.includes("does not exist")), {
				deadlineMs: 10_000,
				what: "health to say that the topic is gone",
			});
			await rig.client.createTopic(topic, 1);
			await rig.renewProducer();
			await rig.client.producer.send({ topic, messages: [{ value: "recreated 0" }, { value: "recreated 1" }] });
			for (const client of clients) {
				await client.waitForMessages(102, 20_000);
				expect(client.texts().slice(100)).toEqual(["recreated 0", "recreated 1"]);
			}
			await rig.healthy();
			expect(rig.cluster.log()).toContain("was deleted and recreated; reading it from its first record");
		});

	it("batches that the broker keeps as gzip, snappy, lz4 and zstd are all read, and records of an aborted transaction are not", async () => {
		const prefix = `codec${topics++}`;
		const codecs = ["gzip", "snappy", "lz4", "zstd", "uncompressed"];
		for (const codec of codecs) await rig.client.createTopic(`${prefix}.${codec}`, 1, { "compression.type": codec });
		await rig.start(1, ["--kafka-topics", `/${prefix}\\..+/`]);
		const [client] = await rig.listen([rig.cluster.url]);
		for (const codec of codecs) {
			await rig.produce(`${prefix}.${codec}`, 1, 300);
			await rig.produce(`${prefix}.${codec}`, 1, 1);
		}
		const transactions = rig.client.transactional(`${prefix}-writer`);
		await transactions.connect();
		for (const commits of [false, true]) {
			const transaction = await transactions.transaction();
			await transaction.send({ topic: `${prefix}.gzip`, messages: [{ value: commits ? `${prefix}.gzip/0:301` : "void" }] });
			await (commits ? transaction.commit() : transaction.abort());
		}
		await transactions.disconnect();
		rig.produced.set(`${prefix}.gzip/0`, 302);
		await rig.caughtUp(client!);
		expect(rig.report([client!])).toMatchObject({ ...flawless, received: 5 * 301 + 1 });
		expect(client!.texts()).not.toContain("void");
	});

	it("begins where the group has committed, when it is told so, with what was produced meanwhile", async () => {
		const topic = `committed${topics++}`;
		await rig.client.createTopic(topic, 2);
		const flags = ["--kafka-topics", topic, "--kafka-from", "committed", "--kafka-group", topic];
		await rig.start(shards, flags);
		const before = await rig.listen(urls());
		await rig.produce(topic, 2, 100);
		await Promise.all(before.map((client) => rig.caughtUp(client)));
		expect((await rig.cluster.stop()).code).toBe(0);
		for (const slot of [0, 1]) {
			const [committed] = await rig.client.admin.fetchOffsets({ groupId: `${topic}-${slot}`, topics: [topic] });
			expect(committed!.partitions.map(({ offset }) => offset)).toEqual(["100", "100"]);
		}
		await rig.produce(topic, 2, 7);
		await rig.start(shards, flags);
		const after = await rig.listen(urls());
		await rig.produce(topic, 2, 5);
		await Promise.all(after.map((client) => rig.caughtUp(client)));
		// Clients that come after the start may miss what was read before they were there, but never see what was committed.
		for (const client of after) for (const text of client.texts()) expect(Number(text.split(":")[1])).toBeGreaterThanOrEqual(100);
		expect(rig.report(after, "first seen")).toMatchObject(flawless);
	});
});
