// @module-tag long
import { Scrape, stressed, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { createCluster, type KafkajsCluster } from "../../src/client/kafkajs-cluster.ts";
import { commitOffsets } from "../../src/client/offsets.ts";
import { FetchAnswers } from "../../src/protocol/fetch-answers.ts";
import { fetchRequest, supportsFetchById } from "../../src/protocol/fetch-protocol.ts";
import { type ClusterMetadata, supportsTopicIds } from "../../src/protocol/metadata-protocol.ts";
import { lastBatchOf, RecordReader } from "../../src/protocol/record-reader.ts";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

describe.skipIf(!(await kafkaForTests()))("edges of the log", () => {
	let rig: KafkaRig;
	let cluster: KafkajsCluster;
	const answers = new FetchAnswers(1 << 20);
	let topics = 0;
	beforeAll(async () => {
		rig = await KafkaRig.create();
		const { brokers } = rig.kafka;
		const connection = { brokers: brokers.split(","), clientId: "test", ssl: null, sasl: null, connectionTimeoutMs: 3000 };
		cluster = createCluster(connection, answers.socketFactory);
		await cluster.connect();
		await cluster.refreshMetadata();
	});
	afterEach(() => rig.reset());
	afterAll(async () => {
		await cluster.disconnect();
		await rig.close();
	});

	async function topicWith(records: number): Promise<string> {
		const topic = `edge-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 1);
		await rig.produce(topic, 1, records);
		return topic;
	}
	/** A broker that has just started answers the first commits with "coordinator is loading". */
	const commit = (topic: string, offset: number, group = `${topic}-0`, topicId: string | null = null, run = "run") =>
		waitFor(() => commitOffsets(cluster, group, run, [{ row: 0, topic, topicId, partition: 0, offset, epoch: -1 }]).then(() => true), {
			deadlineMs: 15_000,
			what: "a commit",
		});
	const idOf = async (topic: string) => {
		await cluster.refreshMetadata();
		return cluster.brokerPool.metadata!.topicMetadata.find((each) => each.topic === topic)!.topicId!;
	};
	const unknown = { leaderEpoch: -1, lastEpoch: -1 };
	/** All that a topic's only partition has from an offset on. */
	async function readAll(topic: string, from = 0) {
		const limits = { waitMsMax: 100, bytesMax: 1 << 20, partitionBytesMax: 1 << 20 };
		await cluster.refreshMetadata();
		const broker = await cluster.brokerPool.findConnectedBroker();
		const reader = new RecordReader();
		const records: { key: string; value: string; mark: string; source: string }[] = [];
		for (let offset = from; ; offset = reader.nextOffset) {
			const request = fetchRequest([{ topic, topicId: null, partition: 0, offset, ...unknown }], limits, false);
			const [part] = (await answers.send(broker.connectionPool, request)).answer;
			reader.reset(part!.records, offset, []);
			while (reader.next()) {
				const key = reader.bytes.toString("utf8", reader.keyStart, reader.keyEnd);
				const value = reader.bytes.toString("utf8", reader.valueStart, reader.valueEnd);
				records.push({ key, value, mark: `${reader.header("mark")}`, source: `${reader.header("shardcast-source")}` });
			}
			if (reader.nextOffset >= part!.logEnd) return records;
		}
	}
	const fromCommitted = (topic: string) => ["--kafka-topics", topic, "--kafka-from", "committed", "--kafka-group", topic];
	/** What a client hears that is there before any record can come: produced once it is connected. */
	async function heard(topic: string, from: number, until: number): Promise<void> {
		const [client] = await rig.listen([rig.cluster.shardUrl(0)]);
		await rig.produce(topic, 1, 5);
		await waitFor(() => client!.texts().includes(`${topic}/0:${until}`), { deadlineMs: 20_000, what: `record ${until} of ${topic}` });
		const sequences = client!
			.texts()
			.filter((text) => text.startsWith(`${topic}/`))
			.map((text) => Number(text.split(":")[1]));
		expect(Math.min(...sequences)).toBeGreaterThanOrEqual(from);
		expect(sequences.at(-1)).toBe(until);
		expect(new Set(sequences).size).toBe(sequences.length);
	}
	const drained = async () => (await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_delivered_total", { shard: "0" });

	it("asked by name, as brokers before 3.1 are, or by topic id: the answers are the same, but for a topic that is no more", async () => {
		const topic = await topicWith(50);
		const topicId = await idOf(topic);
		const broker = await cluster.brokerPool.findConnectedBroker();
		expect([supportsFetchById(broker.versions), supportsTopicIds(broker.versions)]).toEqual([true, true]);
		const limits = { waitMsMax: 100, bytesMax: 1 << 20, partitionBytesMax: 1 << 20 };
		const fetch = async (id: string | null, byId: boolean, offset = 0) => {
			const request = fetchRequest([{ topic, topicId: id, partition: 0, offset, ...unknown }], limits, byId);
			return (await answers.send(broker.connectionPool, request)).answer;
		};
		const [byName] = await fetch(topicId, false);
		const [byId] = await fetch(topicId, true);
		expect(byName).toMatchObject({ topic, topicId, partition: 0, errorCode: 0, logEnd: 50, logStart: 0 });
		expect(lastBatchOf(byName!.records)).toEqual({ nextOffset: 50, leaderEpoch: 0, end: byName!.records.length });
		expect(byId).toEqual(byName);
		// Not all ids known: by name.
		expect(await fetch(null, true)).toEqual([{ ...byName, topicId: null }]);
		expect((await fetch(topicId, true, 51))[0]!.errorCode).toBe(1);
		const gone = Buffer.alloc(16, 5).toString("base64url");
		expect((await fetch(gone, true))[0]).toMatchObject({ topicId: gone, errorCode: 100 });

		// Past the object that stands for the broker, whose own request is overridden: see kafkajs-cluster.ts.
		const older = (await (Object.getPrototypeOf(broker) as typeof broker).metadata.call(broker, [topic])) as ClusterMetadata;
		const newer = await broker.metadata([topic, "no-such-topic", "in valid"]);
		expect(newer.topicMetadata).toMatchObject([{ topic, topicId, topicErrorCode: 0, partitionMetadata: [{ partitionId: 0 }] }]);
		expect(newer).toMatchObject({ clusterId: older.clusterId, controllerId: older.controllerId, brokers: older.brokers });
		expect(newer.topicMetadata[0]!.partitionMetadata[0]!.leader).toBe(older.topicMetadata[0]!.partitionMetadata[0]!.leader);
		expect((await broker.metadata([])).topicMetadata.map((each) => each.topic)).toContain(topic);
	});

	it("commits count for what they are of: behind the end, of records gone by retention, of an earlier topic of the same name", async () => {
		const [behind, gone, before] = [await topicWith(100), await topicWith(100), await topicWith(100)];
		const group = `${behind}-group`;
		await commit(behind, 1000, `${group}-0`);
		await commit(gone, 10, `${group}-0`);
		await commit(before, 50, `${group}-0`, Buffer.alloc(16, 7).toString("base64url"));
		await rig.client.admin.fetchTopicMetadata({ topics: [gone] });
		await rig.client.admin.deleteTopicRecords({ topic: gone, partitions: [{ partition: 0, offset: "60" }] });
		await rig.start(1, ["--kafka-topics", [behind, gone, before].join(), "--kafka-from", "committed", "--kafka-group", group]);
		// What is old is not delivered again: on at the end.
		await heard(behind, 100, 104);
		expect(rig.cluster.log()).toContain(`offset 1000 is not in the log; continuing at 100`);
		// On at the first that is left.
		await heard(gone, 60, 104);
		expect(rig.cluster.log()).toContain("offset 10 is not in the log; continuing at 60");
		// It counts nothing: all of the new one is read.
		await heard(before, 0, 104);
		const records = async (topic: string) => (await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_records_total", { topic });
		await waitFor(async () => (await drained()) === 5 + 45 + 105, { deadlineMs: 10_000, what: "155 records to be counted" });
		expect([await records(behind), await records(gone), await records(before)]).toEqual([5, 45, 105]);
	});

	it("a commit of this topic counts, one left of an earlier run with more shards does not", async () => {
		const topic = await topicWith(100);
		const topicId = await idOf(topic);
		await commit(topic, 90, `${topic}-0`, topicId, "now");
		await commit(topic, 80, `${topic}-1`, topicId, "now");
		await commit(topic, 5, `${topic}-2`, topicId, "weeks-ago");
		await rig.start(3, fromCommitted(topic));
		await heard(topic, 80, 104);
		// By the shard that was there first, whichever it is: one that comes later goes on where the others are.
		const most = async () => {
			const scrape = await Scrape.of(rig.cluster.httpUrl);
			return Math.max(...["0", "1", "2"].map((shard) => scrape.sum("shardcast_kafka_records_total", { topic, shard })));
		};
		await waitFor(async () => (await most()) === 25, { deadlineMs: 10_000, what: "25 records to be counted" });
	});

	it("more dead letters at once than may wait all arrive, by one of two shards, once and with their own bytes, and are not read back", async () => {
		const topic = `edge-${process.pid}-${topics++}`;
		const dead = `${topic}.dead`;
		await rig.client.createTopic(topic, 1);
		await rig.client.createTopic(dead, 1);
		// More than the 10,000, and the 8 MiB, that a shard holds.
		const [count, perSend] = [stressed(12_000), 800];
		const letterValue = (index: number) => `${index}`.padEnd(1024, "x");
		const letter = (index: number) => ({ key: `${index}`, value: letterValue(index), headers: { mark: `${index}` } });
		for (let from = 0; from < count; from += perSend)
			await rig.client.producer.send({ topic, messages: Array.from({ length: perSend }, (_, at) => letter(from + at)) });
		await rig.client.producer.send({ topic, messages: [{ value: '"good"' }] });
		// The pattern matches the dead letters' topic as well.
		const flags = ["--kafka-topics", `/${topic}.*/`, "--kafka-format", "json", "--kafka-dead-letter", dead];
		await rig.start(2, [...flags, "--kafka-from", "earliest"]);
		await waitFor(async () => (await drained()) === 1, { deadlineMs: stressed(30_000), what: "the good record" });
		const written = async () => Number((await rig.client.admin.fetchTopicOffsets(dead))[0]!.high);
		await waitFor(async () => (await written()) >= count, { deadlineMs: stressed(30_000), what: "all dead letters" });
		const letters = await readAll(dead);
		expect(letters.length).toBe(count);
		const isWrong = ({ key, value, mark, source }: (typeof letters)[number]) =>
			value !== letterValue(Number(key)) || mark !== key || source !== `${topic}-0-${key}`;
		expect(letters.filter(isWrong)).toEqual([]);
		expect(new Set(letters.map(({ key }) => key)).size).toBe(count);

		// When the shard that writes them dies, the other does: some may come twice, none is lost.
		const by = async (slot: number) =>
			(await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_dead_letters_total", { outcome: "written", shard: `${slot}` });
		// The writer counts them when Kafka's answer has come.
		await waitFor(async () => (await by(0)) + (await by(1)) >= count, { deadlineMs: 10_000, what: "all to be counted" });
		const writer = (await by(0)) > 0 ? 0 : 1;
		expect([await by(writer), await by(1 - writer)]).toEqual([count, 0]);
		await rig.cluster.kill9(writer);
		await rig.client.producer.send({ topic, messages: Array.from({ length: 20 }, (_, at) => letter(count + at)) });
		await waitFor(
			async () => {
				const keys = new Set((await readAll(dead, count)).map(({ key }) => key));
				return Array.from({ length: 20 }, (_, at) => `${count + at}`).every((key) => keys.has(key));
			},
			{ deadlineMs: 20_000, what: "the dead letters after that", everyMs: 500 },
		);
	});

	it("a record larger than a whole answer may be is skipped and counted, and holds up no other", async () => {
		const topic = `edge-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 2, { "max.message.bytes": String(16 * 1024 * 1024) });
		await rig.start(1, ["--kafka-topics", topic]);
		const [client] = await rig.listen([rig.cluster.url]);
		await rig.produce(topic, 2, 10);
		await rig.client.producer.send({ topic, messages: [{ partition: 0, value: Buffer.alloc(9 * 1024 * 1024, "x") }] });
		await rig.produce(topic, 2, 10);
		await rig.caughtUp(client!);
		expect(rig.report([client!])).toMatchObject({ ...flawless, received: 40 });
		expect((await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_skipped_total", { reason: "too_large" })).toBe(1);
	});

	it("transactions of several writers in one another's midst, with and without compression: only what was committed, once", async () => {
		const topic = `edge-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, 1, { "message.timestamp.type": "LogAppendTime" });
		await rig.start(1, ["--kafka-topics", topic]);
		const [client] = await rig.listen([rig.cluster.url]);
		const writers = [0, 1, 2].map((index) => rig.client.transactional(`${topic}-${index}`));
		await Promise.all(writers.map((writer) => writer.connect()));
		const committed: string[] = [];
		for (let round = 0; round < 6; round++) {
			const open = await Promise.all(writers.map((writer) => writer.transaction()));
			for (let part = 0; part < 3; part++)
				for (const [index, transaction] of open.entries())
					await transaction.send({ topic, compression: part % 2, messages: [{ value: `${round}/${part}/${index}` }] });
			await rig.client.producer.send({ topic, messages: [{ value: `plain ${round}` }] });
			committed.push(`plain ${round}`);
			for (const [index, transaction] of open.entries()) {
				const commits = (round + index) % 2 === 0;
				await (commits ? transaction.commit() : transaction.abort());
				if (commits) for (let part = 0; part < 3; part++) committed.push(`${round}/${part}/${index}`);
			}
		}
		await Promise.all(writers.map((writer) => writer.disconnect()));
		await client!.waitForMessages(committed.length, 10_000);
		expect(client!.texts().toSorted()).toEqual(committed.toSorted());
		await waitFor(
			async () => {
				const lag = (await Scrape.of(rig.cluster.httpUrl)).sum("shardcast_kafka_lag_records", { topic });
				if (lag !== 0) throw new Error(`lag ${lag}`);
				return true;
			},
			{ deadlineMs: 15_000, what: "no lag, the markers included" },
		);
	});

	it(
		"shared: an owner that stands still for longer than the watchdog allows, and wakes again, delivers nothing a second time",
		async () => {
			const topic = `edge-${process.pid}-${topics++}`;
			await rig.client.createTopic(topic, 4);
			await rig.start(2, ["--kafka-topics", topic, "--kafka-mode", "shared", "--heartbeat-timeout", "3s"]);
			const clients = await rig.listen([rig.cluster.shardUrl(0), rig.cluster.shardUrl(0)]);
			const stop = rig.produceSteadily(topic, () => 4);
			for (let round = 0; round < stressed(2); round++) {
				const { pid } = (await rig.cluster.health()).shards[1]!;
				await new Promise((resolve) => setTimeout(resolve, 300 + Math.random() * 300));
				process.kill(pid!, "SIGSTOP");
				// Around the 3 s after which it is killed: now it wakes just before, now it does not wake.
				await new Promise((resolve) => setTimeout(resolve, (round % 2 === 0 ? 2800 : 3100) + Math.random() * 300));
				try {
					process.kill(pid!, "SIGCONT");
				} catch {} // killed by the watchdog already
				await waitFor(async () => (await rig.cluster.health()).shards[1]!.status === "healthy", { deadlineMs: 30_000, what: "the shard" });
			}
			await stop();
			expect((await rig.cluster.health()).shards[0]!.restarts, "the clients' own shard").toBe(0);
			await Promise.all(clients.map((client) => rig.caughtUp(client)));
			expect(rig.report(clients)).toMatchObject(flawless);
		},
		stressed(120_000),
	);

	it(
		"a partition that changes hands while records wait for room on the bus changes hands after the last of them",
		async () => {
			const topic = `edge-${process.pid}-${topics++}`;
			await rig.client.createTopic(topic, 4);
			await rig.start(2, ["--kafka-topics", topic, "--kafka-mode", "shared", "--ring", "16"]);
			const clients = await rig.listen([rig.cluster.shardUrl(0), rig.cluster.shardUrl(0)]);
			const stop = rig.produceSteadily(topic, () => 4);
			for (let round = 0; round < stressed(2); round++) {
				const killed = await rig.cluster.kill9(1);
				await rig.produce(topic, 4, 2000);
				await rig.servesAgain(1, killed);
			}
			await stop();
			await Promise.all(clients.map((client) => rig.caughtUp(client, 30_000)));
			expect(rig.report(clients)).toMatchObject(flawless);
		},
		stressed(120_000),
	);
});
