import { readFileSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { type Cluster, type RawClient, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

const shards = 2;

/** Of a broker that is down. */
function cutLastBatch(directory: string, topic: string, partition: number): void {
	const path = join(directory, "log", `${topic}-${partition}`, "00000000000000000000.log");
	const log = readFileSync(path);
	let last = 0;
	for (let at = 0; at + 12 <= log.length && log.readInt32BE(at + 8) > 0; at += 12 + log.readInt32BE(at + 8)) last = at;
	truncateSync(path, last);
}

describe.skipIf(!(await kafkaForTests()))("exactly once while Kafka changes, for one cluster in each mode", () => {
	const prefix = `changes-${process.pid}`;
	const [grown, recreated, restarted] = [`${prefix}-grown`, `${prefix}-recreated`, `${prefix}-restarted`];
	let rig: KafkaRig;
	let perShard: Cluster;
	let shared: Cluster;
	beforeAll(async () => {
		rig = await KafkaRig.create({ own: true });
		for (const [topic, partitions] of [
			[grown, 2],
			[recreated, 1],
			[restarted, 3],
			[`${prefix}.a`, 1],
			[`other-${prefix}.b`, 1],
		] as const)
			await rig.client.createTopic(topic, partitions);
		// Longer than it takes to produce to what has just been created: there are records before the clusters look.
		const common = ["--kafka-topics", `${grown},${recreated},${restarted},/${prefix}\\..+/`, "--kafka-metadata-age", "2s"];
		[perShard, shared] = await Promise.all([
			rig.start(shards, [...common, "--kafka-mode", "per-shard", "--kafka-group", `${prefix}-per-shard`]),
			rig.start(shards, [...common, "--kafka-mode", "shared", "--kafka-group", `${prefix}-shared`]),
		]);
	});
	afterEach(() => rig.forget());
	afterAll(async () => {
		await rig?.reset().finally(() => rig.close());
	});

	const clusters = () => [perShard, shared];
	const urls = () => clusters().flatMap((cluster) => [cluster.shardUrl(0), cluster.shardUrl(0), cluster.shardUrl(1), cluster.url]);
	const caughtUp = (clients: readonly RawClient[]) => Promise.all(clients.map((client) => rig.caughtUp(client, 30_000)));
	const allHealthy = () => Promise.all(clusters().map((cluster) => rig.healthy(30_000, cluster)));
	/** In the health of both. */
	const said = (sentence: string) =>
		Promise.all(
			clusters().map((cluster) =>
				waitFor(
					async () => {
						const { status, reasons } = await cluster.health();
						if (status !== "degraded") throw new Error(`${status}: ${reasons.join("; ")}`);
						return reasons.some((reason) => reason.includes(sentence));
					},
					{ deadlineMs: 20_000, what: `degraded health with "${sentence}"` },
				),
			),
		);

	it("partitions that are added under load are read from their first record", { tags: ["long"] }, async () => {
		const clients = await rig.listen(urls());
		const stop = rig.produceSteadily(grown, () => 2);
		await rig.client.admin.createPartitions({ topicPartitions: [{ topic: grown, count: 5 }] });
		await waitFor(async () => (await rig.client.admin.fetchTopicOffsets(grown)).length === 5, { deadlineMs: 20_000, what: "5 partitions" });
		await stop();
		await rig.renewProducer();
		const stopGrown = rig.produceSteadily(grown, () => 5);
		await Promise.all(
			clients.map((client) => waitFor(() => client.texts().includes(`${grown}/4:10`), { deadlineMs: 30_000, what: "the new partition" })),
		);
		await stopGrown();
		await caughtUp(clients);
		expect(rig.report(clients)).toMatchObject(flawless);
	});

	it("topics that come to match a pattern are read from their first record, topics of others are not", { tags: ["long"] }, async () => {
		const clients = await rig.listen(urls());
		await rig.produce(`${prefix}.a`, 1, 50);
		await rig.client.createTopic(`${prefix}.b`, 2);
		await rig.produce(`${prefix}.b`, 2, 50);
		await rig.client.producer.send({ topic: `other-${prefix}.b`, messages: [{ value: "not for us" }] });
		await caughtUp(clients);
		expect(rig.report(clients)).toMatchObject({ ...flawless, received: clients.length * 150 });
		for (const client of clients) expect(client.texts()).not.toContain("not for us");
	});

	it("batches that the broker keeps as gzip, snappy, lz4 and zstd are all read, and records of an aborted transaction are not", {
		tags: ["long"],
	}, async () => {
		// All shards of both: one that nobody listens to would bring these records to the clients of the next test.
		const clients = await rig.listen(urls());
		const codecs = ["gzip", "snappy", "lz4", "zstd", "uncompressed"];
		for (const codec of codecs) {
			await rig.client.createTopic(`${prefix}.${codec}`, 1, { "compression.type": codec });
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
		await caughtUp(clients);
		for (const client of clients) expect(client.texts()).not.toContain("void");
		expect(rig.report(clients)).toMatchObject({ ...flawless, received: clients.length * (5 * 301 + 1) });
	});

	it("a topic that is deleted and recreated is read from its first record, and the reset is counted", async () => {
		const clients = await rig.listen(urls());
		await rig.produce(recreated, 1, 100);
		await caughtUp(clients);
		await rig.client.admin.deleteTopics({ topics: [recreated] });
		await said("does not exist");
		await rig.client.createTopic(recreated, 1);
		await rig.renewProducer();
		await rig.client.producer.send({ topic: recreated, messages: [{ value: "recreated 0" }, { value: "recreated 1" }] });
		for (const client of clients) {
			await client.waitForMessages(102, 20_000);
			expect(client.texts().slice(100)).toEqual(["recreated 0", "recreated 1"]);
		}
		await allHealthy();
		for (const cluster of clusters())
			await expect.poll(() => cluster.log()).toContain(`topic ${recreated} was deleted and recreated; reading it from its first record`);
	});

	it("begins where the group has committed, when it is told so, with what was produced meanwhile", { tags: ["long"] }, async () => {
		const topic = `${prefix}-committed`;
		await rig.client.createTopic(topic, 2);
		const flags = ["--kafka-topics", topic, "--kafka-from", "committed", "--kafka-group", topic];
		const first = await rig.start(shards, flags);
		const before = await rig.listen([first.shardUrl(0), first.shardUrl(1)]);
		await rig.produce(topic, 2, 100);
		await caughtUp(before);
		expect((await first.stop()).code).toBe(0);
		for (const slot of [0, 1]) {
			const [committed] = await rig.client.admin.fetchOffsets({ groupId: `${topic}-${slot}`, topics: [topic] });
			expect(committed!.partitions.map(({ offset }) => offset)).toEqual(["100", "100"]);
		}
		await rig.produce(topic, 2, 7);
		const second = await rig.start(shards, flags);
		const after = await rig.listen([second.shardUrl(0), second.shardUrl(1), second.url]);
		await rig.produce(topic, 2, 5);
		await caughtUp(after);
		// Clients that come after the start may miss what was read before they were there, but never see what was committed.
		for (const client of after) for (const text of client.texts()) expect(Number(text.split(":")[1])).toBeGreaterThanOrEqual(100);
		expect(rig.report(after, "first seen")).toMatchObject(flawless);
		expect((await second.stop()).code).toBe(0);
	});

	it("a broker that is killed, and comes back without the last that it had taken, costs time, no record", { tags: ["long"] }, async () => {
		const { broker } = rig.kafka;
		if (broker === null) return;
		const clients = await rig.listen(urls());
		await rig.produce(restarted, 3, 150);
		await rig.produce(restarted, 3, 50);
		await caughtUp(clients);
		await broker.kill();
		// As an unclean election leaves it: of one partition the last records are delivered, and in no log any more.
		cutLastBatch(broker.directory, restarted, 1);
		await said("Kafka");
		await broker.start();
		// The idempotent one of before has lost its count with the records.
		await rig.renewProducer();
		await rig.produce(restarted, 3, 200);
		await caughtUp(clients);
		// The new records of that partition have numbers that were delivered before, and come all the same.
		expect(rig.report(clients)).toMatchObject(flawless);
		const lost = new RegExp(
			`50 records that no other broker had are lost.*"topic":"${restarted}","partition":1|"topic":"${restarted}","partition":1.*50 records that no other`,
			"g",
		);
		await expect.poll(() => clusters().map((cluster) => cluster.log().match(lost)?.length)).toEqual([shards, 1]);
		await allHealthy();
	});
});
