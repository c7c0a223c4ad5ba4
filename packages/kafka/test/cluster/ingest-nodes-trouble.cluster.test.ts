// @module-tag long
import { type Cluster, descendantsOf, httpRequest, type RawClient, RedisServer, redisForTests, Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { CompressionTypes } from "kafkajs";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

const waitMs = 60_000;
/** Between two rounds of records. */
const paceMs = 30;

describe.skipIf(!redisForTests() || !(await kafkaForTests()))("trouble while nodes share the reading", () => {
	let rig: KafkaRig;
	let redis: RedisServer;
	const nodes = new Map<string, Cluster>();
	beforeAll(async () => {
		rig = await KafkaRig.create({ own: true });
		redis = await RedisServer.start();
	}, 120_000);
	afterEach(async () => {
		redis.signal("SIGCONT");
		await rig.reset();
		nodes.clear();
	});
	afterAll(async () => {
		await rig?.close();
		await redis?.stop();
	});

	const startNode = async (id: string, topic: string): Promise<Cluster> => {
		const kafka = [
			"--kafka-topics",
			topic,
			"--kafka-group",
			topic,
			"--kafka-mode",
			"shared",
			"--max-payload",
			"1MiB",
			"--max-buffered",
			"16MiB",
		];
		const node = ["--redis-url", redis.url, "--node-id", id, "--node-timeout", "6s", "--node-heartbeat", "400ms"];
		const started = await rig.start(2, [...kafka, ...node]);
		nodes.set(id, started);
		return started;
	};
	/** Each partition is read from Kafka once, and delivered by every node. */
	const divided = (partitions: number, ...ids: readonly string[]) =>
		waitFor(
			async () => {
				const scrapes = await Promise.all(ids.map((id) => Scrape.of(nodes.get(id)!.httpUrl)));
				const found = scrapes.map((scrape) => ["kafka", "node"].map((source) => scrape.sum("shardcast_kafka_partitions", { source })));
				const read = found.reduce((sum, [kafka]) => sum + kafka!, 0);
				if (read !== partitions || found.some(([kafka, node]) => kafka! + node! !== partitions)) throw new Error(JSON.stringify(found));
				return true;
			},
			{ deadlineMs: waitMs, what: "each partition to be read by one node", everyMs: 200 },
		);
	/** Numbered records, and between them what must not be delivered: tombstones and records of aborted transactions. Compressed or not. */
	const produceMixed = (topic: string, partitions: () => number) =>
		rig.produceUntil(async (isOver) => {
			const transactional = rig.client.transactional(`${topic}-tx`);
			await transactional.connect();
			try {
				for (let round = 0; !isOver(); round++) {
					await rig.produce(topic, partitions(), 2);
					if (round % 5 === 1) {
						const messages = Array.from({ length: 4 }, (_, partition) => ({ partition, key: "k", value: null }));
						await rig.client.producer.send({ topic, acks: -1, messages, compression: CompressionTypes.GZIP }).catch(() => {});
					}
					if (round % 10 === 2) {
						const transaction = await transactional.transaction().catch(() => null);
						const messages = Array.from({ length: 4 }, (_, partition) => ({ partition, value: "aborted:0" }));
						await transaction?.send({ topic, acks: -1, messages }).catch(() => {});
						await transaction?.abort().catch(() => {});
					}
					await new Promise((resolve) => setTimeout(resolve, paceMs));
				}
			} finally {
				await transactional.disconnect();
			}
		});
	const more = async (topic: string, count: number) => {
		const before = rig.produced.get(`${topic}/0`) ?? 0;
		await waitFor(() => (rig.produced.get(`${topic}/0`) ?? 0) >= before + count, { deadlineMs: waitMs, what: `${count} more records` });
	};
	const membersSeenBy = async ({ httpUrl }: Cluster): Promise<number> => {
		const { body } = await httpRequest(`${httpUrl}/cluster/nodes`);
		return (JSON.parse(body) as { nodes: readonly unknown[] }).nodes.length;
	};
	/** All processes of the node. @returns what lets them go on. */
	const pause = (node: Cluster) => {
		const pids = [node.process.pid, ...descendantsOf(node.process.pid).map(({ pid }) => pid)];
		for (const pid of pids) process.kill(pid, "SIGSTOP");
		return () => {
			for (const pid of pids.toReversed()) process.kill(pid, "SIGCONT");
		};
	};

	/** Two nodes, a client on each shard of the first and on one of the second. */
	const start = async (topic: string, partitions: number) => {
		await rig.client.createTopic(topic, partitions);
		await Promise.all(["n1", "n2"].map((id) => startNode(id, topic)));
		await divided(partitions, "n1", "n2");
		const [n1, n2] = [nodes.get("n1")!, nodes.get("n2")!];
		return { n1, n2, clients: await rig.listen([n1.shardUrl(0), n1.shardUrl(1), n2.shardUrl(1)]) };
	};
	const allFromKafka = (count: number, ...ids: readonly string[]) =>
		waitFor(
			async () => {
				const scrapes = await Promise.all(ids.map((id) => Scrape.of(nodes.get(id)!.httpUrl)));
				return scrapes.every((scrape) => scrape.sum("shardcast_kafka_partitions", { source: "kafka" }) === count);
			},
			{ deadlineMs: waitMs, what: `${ids} to read all from Kafka`, everyMs: 200 },
		);
	const flawlessAt = async (clients: readonly RawClient[], what: string) => {
		// Records may be produced meanwhile.
		const until = new Map(rig.produced);
		await Promise.all(clients.map((client) => rig.caughtUp(client, waitMs, until)));
		expect(rig.report(clients, "start", until), what).toMatchObject(flawless);
	};

	it("a shard is killed, a node is paused for longer than the node timeout, Redis is away and hangs, partitions are added: each client gets each record once", async () => {
		const topic = `trouble-${process.pid}`;
		let partitions = 4;
		const { n1, n2, clients } = await start(topic, partitions);
		const stop = produceMixed(topic, () => partitions);
		await rig.servesAgain(0, await n2.kill9(0), n2);
		const resume = pause(n2);
		try {
			await allFromKafka(partitions, "n1");
			// It has left, so the first one is the only reader. When it resumes, it believes for a while that it still reads for the others.
			await waitFor(async () => (await membersSeenBy(n1)) === 1, {
				deadlineMs: waitMs,
				what: "the paused node to have left",
				everyMs: 200,
			});
			await more(topic, 40);
		} finally {
			resume();
		}
		await divided(partitions, "n1", "n2");
		await flawlessAt([clients[0]!, clients[1]!], "after the pause of the other node");
		await redis.end();
		await allFromKafka(partitions, "n1", "n2");
		await more(topic, 20);
		await redis.start();
		await divided(partitions, "n1", "n2");
		redis.signal("SIGSTOP");
		await allFromKafka(partitions, "n1", "n2");
		redis.signal("SIGCONT");
		await divided(partitions, "n1", "n2");
		await rig.client.admin.createPartitions({ topicPartitions: [{ topic, count: 6 }] });
		await divided(6, "n1", "n2");
		await stop();
		await rig.renewProducer();
		partitions = 6;
		await rig.produce(topic, partitions, 40);
		await flawlessAt(clients, "at the end");
	}, 480_000);

	it("a node joins under load and is stopped, and Kafka is killed: each client gets each record once, also long ones", async () => {
		const topic = `joins-${process.pid}`;
		const partitions = 4;
		const { clients } = await start(topic, partitions);
		const stopMixed = produceMixed(topic, () => partitions);
		const n3 = await startNode("n3", topic);
		await divided(partitions, "n1", "n2", "n3");
		await more(topic, 20);
		const ended = n3.stop();
		await more(topic, 20);
		await ended;
		nodes.delete("n3");
		await divided(partitions, "n1", "n2");
		await stopMixed();
		await rig.kafka.broker!.kill();
		await rig.kafka.broker!.start();
		await rig.renewProducer();
		await rig.produce(topic, partitions, 100);
		await divided(partitions, "n1", "n2");
		await rig.produce(topic, partitions, 20);
		await flawlessAt(clients, "at the end");

		const long = "x".repeat(900_000);
		const numbers = Array.from({ length: 6 }, (_, number) => number);
		const before = clients.map((client) => client.texts().length);
		for (const number of numbers)
			await rig.client.producer.send({ topic, acks: -1, messages: [{ partition: 0, value: `${number}${long}` }] });
		await Promise.all(clients.map((client, index) => client.waitForMessages(before[index]! + numbers.length, waitMs)));
		for (const [index, client] of clients.entries())
			expect(
				client
					.texts()
					.slice(before[index])
					.map((text) => [text[0], text.length]),
			).toEqual(numbers.map((number) => [`${number}`, 900_001]));
	}, 480_000);
});
