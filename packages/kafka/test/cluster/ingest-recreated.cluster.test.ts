// @module-tag long
import { type Cluster, type RawClient, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { KafkaRig } from "../support/ingest-rig.ts";

const shards = 2;
const modes = ["per-shard", "shared"] as const;

describe.skipIf(!(await kafkaForTests()))("a topic that is deleted and recreated is another topic", () => {
	let rig: KafkaRig;
	let topics = 0;
	beforeAll(async () => {
		rig = await KafkaRig.create();
	});
	afterEach(() => rig.reset());
	afterAll(() => rig.close());

	const urlsOf = (cluster: Cluster) => [cluster.shardUrl(0), cluster.shardUrl(0), cluster.shardUrl(1), cluster.url];

	/** Deletes the topic, recreates it and at once produces so much that it is longer than before. */
	async function recreateTopic(topic: string, partitions: number, count: number, prefix = "recreated"): Promise<void> {
		await rig.client.admin.deleteTopics({ topics: [topic] });
		await waitFor(
			async () => {
				await rig.client.createTopic(topic, partitions);
				return true;
			},
			{ deadlineMs: 10_000, what: "the topic to be recreated" },
		);
		await rig.renewProducer();
		const messages = Array.from({ length: count }, (_, index) =>
			Array.from({ length: partitions }, (_unused, partition) => ({ partition, value: `${prefix} ${partition}:${index}` })),
		).flat();
		await rig.client.producer.send({ topic, acks: -1, messages });
	}

	const recreatedOf = (client: RawClient, partition: number, prefix = "recreated") =>
		client
			.texts()
			.filter((text) => text.startsWith(`${prefix} ${partition}:`))
			.map((text) => Number(text.split(":")[1]));
	const all = (count: number) => Array.from({ length: count }, (_, index) => index);

	/** One cluster in each mode, side by side, both of the same topic. */
	const startBoth = (topic: string, ...flags: string[]) =>
		Promise.all(
			modes.map((mode) =>
				rig.start(shards, ["--kafka-topics", topic, "--kafka-mode", mode, "--kafka-group", `${topic}-${mode}`, ...flags]),
			),
		);

	it("also when it outgrows the old one before anybody has looked", async () => {
		const topic = `recreated-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 2);
		const clusters = await startBoth(topic, "--kafka-metadata-age", "5s");
		const clients = await rig.listen(clusters.flatMap(urlsOf));
		await rig.produce(topic, 2, 100);
		await Promise.all(clients.map((client) => rig.caughtUp(client)));
		await recreateTopic(topic, 2, 300);
		for (const client of clients) {
			await client.waitForMessages(800, 30_000);
			for (const partition of [0, 1]) expect(recreatedOf(client, partition)).toEqual(all(300));
			expect(client.texts().length).toBe(800);
		}
		for (const cluster of clusters) {
			await rig.healthy(30_000, cluster);
			// Each shard says it once, however many partitions there are.
			expect(cluster.log().match(/was deleted and recreated; reading it from its first record/g)).toHaveLength(shards);
			expect(cluster.log()).not.toContain("is not in the log");
		}
		for (const groupId of [`${topic}-per-shard-0`, `${topic}-shared`])
			await waitFor(
				async () => {
					const [committed] = await rig.client.admin.fetchOffsets({ groupId, topics: [topic] });
					return committed!.partitions.every(({ offset }) => offset === "300");
				},
				{ deadlineMs: 20_000, what: `the new topic's offsets, 300, to be committed by ${groupId}` },
			);
	});

	it("while a shard is away, and again after that", async () => {
		const topic = `away-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 2);
		const clusters = await startBoth(topic);
		const clients = await rig.listen(clusters.map((cluster) => cluster.shardUrl(0)));
		await rig.produce(topic, 2, 100);
		await Promise.all(clients.map((client) => rig.caughtUp(client)));
		const killed = await Promise.all(clusters.map((cluster) => cluster.kill9(1)));
		await recreateTopic(topic, 2, 300);
		await Promise.all(clusters.map((cluster, index) => rig.servesAgain(1, killed[index]!, cluster)));
		for (const client of clients) {
			await client.waitForMessages(800, 30_000);
			for (const partition of [0, 1]) expect(recreatedOf(client, partition)).toEqual(all(300));
		}
		const back = await rig.listen(clusters.map((cluster) => cluster.shardUrl(1)));
		await recreateTopic(topic, 2, 400, "again");
		for (const each of [...clients, ...back]) {
			await waitFor(() => [0, 1].every((partition) => recreatedOf(each, partition, "again").length === 400), {
				deadlineMs: 30_000,
				what: "all of it",
			});
			for (const partition of [0, 1]) expect(recreatedOf(each, partition, "again")).toEqual(all(400));
		}
	});
});
