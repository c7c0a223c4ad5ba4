import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Cluster, RedisServer, redisForTests, Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Follower } from "../support/follower.ts";
import { flawless, KafkaRig } from "../support/ingest-rig.ts";

const waitMs = 30_000;
const settings =
	"client: { insecure: true }\nchannel:\n  namespaces:\n    - { name: kf, history_size: 200, history_ttl: 5m, force_recovery: true }\n";
/** Of one topic to a channel with a history, of the other to everybody. */
const route = 'export default ({ topic }) => (topic.endsWith("-kept") ? "kf:kept" : {});\n';
const partitions = 4;

describe.skipIf(!redisForTests() || !(await kafkaForTests()))("Kafka with two nodes of two shards", () => {
	let rig: KafkaRig;
	let redis: RedisServer;
	let directory: string;
	const nodes = new Map<string, Cluster>();
	const followers: Follower[] = [];
	beforeAll(async () => {
		rig = await KafkaRig.create();
		redis = await RedisServer.start();
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), settings);
		writeFileSync(join(directory, "route.mjs"), route);
	}, 60_000);
	afterEach(async () => {
		for (const { client } of followers.splice(0)) client.disconnect();
		await rig.reset();
		nodes.clear();
	});
	afterAll(async () => {
		await rig?.close();
		await redis?.stop();
		rmSync(directory, { recursive: true });
	});

	const startNode = async (id: string, topic: string, mode: string): Promise<void> => {
		const options = ["--config", join(directory, "shardcast.yaml"), "--kafka-route", join(directory, "route.mjs")];
		const kafka = ["--kafka-topics", `${topic},${topic}-kept`, "--kafka-group", topic, "--kafka-mode", mode];
		const node = ["--redis-url", redis.url, "--node-id", id, "--node-timeout", "6s", "--node-heartbeat", "400ms"];
		nodes.set(id, await rig.start(2, [...options, ...kafka, ...node]));
	};
	const start = async (mode: string): Promise<string> => {
		const topic = `nodes-${process.pid}-${mode}`;
		await rig.client.createTopic(topic, partitions);
		await rig.client.createTopic(`${topic}-kept`, 1);
		await Promise.all(["n1", "n2"].map((id) => startNode(id, topic, mode)));
		// A channel gets Kafka's epoch with its first record.
		await rig.produce(`${topic}-kept`, 1, 1);
		for (const url of urls("n1", "n2")) {
			const first = await follow(url);
			await waitFor(() => first.contexts[0]!.streamPosition!.offset > 0 || first.offsets.length > 0, {
				deadlineMs: waitMs,
				what: "the first record",
			});
			first.leave();
		}
		await rig.forget();
		return topic;
	};
	const urls = (...ids: readonly string[]) => ids.flatMap((id) => [0, 1].map((shard) => nodes.get(id)!.shardUrl(shard)));
	const listen = (...ids: readonly string[]) => rig.listen(urls(...ids));
	const follow = async (url: string): Promise<Follower> => {
		const follower = new Follower(url, "kf:kept");
		followers.push(follower);
		await follower.subscribed(1);
		return follower;
	};
	/** Partitions of each node by where it gets their records from. */
	const sources = async (...ids: readonly string[]) => {
		const scrapes = await Promise.all(ids.map((id) => Scrape.of(nodes.get(id)!.httpUrl)));
		return scrapes.map((scrape) => ["kafka", "node"].map((source) => scrape.sum("shardcast_kafka_partitions", { source })));
	};
	/** Each partition is read from Kafka once, and delivered by every node. */
	const divided = (...ids: readonly string[]) =>
		waitFor(
			async () => {
				const found = await sources(...ids);
				const read = found.reduce((sum, [kafka]) => sum + kafka!, 0);
				if (read !== partitions + 1 || found.some(([kafka, node]) => kafka! + node! !== partitions + 1))
					throw new Error(JSON.stringify(found));
				return true;
			},
			{ deadlineMs: waitMs, what: "each partition to be read by one node", everyMs: 200 },
		);
	const produce = async (topic: string, count: number) => {
		await rig.produce(topic, partitions, count);
		await rig.produce(`${topic}-kept`, 1, count);
	};
	const continuous = ({ offsets }: Follower) => expect(offsets).toEqual(offsets.map((_, index) => offsets[0]! + index));

	it("per-shard: every node delivers all records once to its clients, commits under its own names, and recovers the other one's clients", {
		timeout: 120_000,
		tags: ["long"],
	}, async () => {
		const topic = await start("per-shard");
		const clients = await listen("n1", "n2");
		const [away, there] = [await follow(urls("n1")[0]!), await follow(urls("n2")[1]!)];
		await produce(topic, 100);
		await Promise.all(clients.map((client) => rig.caughtUp(client)));
		await Promise.all([away, there].map((follower) => follower.has(100)));
		away.leave();
		await produce(topic, 100);
		await there.has(200);
		away.comeBack(urls("n2")[0]!);
		await away.has(200);
		expect(away.contexts.at(-1)).toMatchObject({ wasRecovering: true, recovered: true });
		expect(away.offsets).toEqual(there.offsets);
		continuous(away);
		await Promise.all(clients.map((client) => rig.caughtUp(client)));
		expect(rig.report(clients)).toMatchObject({ ...flawless, received: clients.length * (partitions + 1) * 200 });
		const committed = async (node: string) => {
			const [found] = await rig.client.admin.fetchOffsets({ groupId: `${topic}-${node}-0`, topics: [topic] });
			return found!.partitions.map(({ offset }) => Number(offset)).toSorted();
		};
		await waitFor(async () => [...(await committed("n1")), ...(await committed("n2"))].every((offset) => offset === 200), {
			deadlineMs: waitMs,
			what: "commits of both nodes",
		});
		// Nothing went over Redis.
		for (const { httpUrl } of nodes.values()) expect((await Scrape.of(httpUrl)).sum("shardcast_kafka_relay_answers_total")).toBe(0);
	});

	it("shared: a record is read by one node and reaches all clients once; a node is killed with -9, and comes back", {
		timeout: 180_000,
		tags: ["long"],
	}, async () => {
		const topic = await start("shared");
		await divided("n1", "n2");
		const survivors = await listen("n1");
		const victims = await listen("n2");
		const [away, there] = [await follow(urls("n2")[0]!), await follow(urls("n1")[1]!)];
		const before = await sources("n1", "n2");
		for (const [kafka] of before) expect(kafka).toBeGreaterThan(0);
		for (let round = 0; round < 5; round++) await produce(topic, 20);
		await Promise.all([...survivors, ...victims].map((client) => rig.caughtUp(client)));
		await Promise.all([away, there].map((follower) => follower.has(100)));
		expect(away.offsets).toEqual(there.offsets);
		const scrapes = await Promise.all([...nodes.values()].map(({ httpUrl }) => Scrape.of(httpUrl)));
		const records = scrapes.map((scrape) => scrape.sum("shardcast_kafka_relay_answers_total", { outcome: "taken" }));
		for (const taken of records) expect(taken, "answers taken from the other node").toBeGreaterThan(0);

		const stop = rig.produceSteadily(topic, () => partitions);
		await waitFor(() => rig.produced.get(`${topic}/0`)! > 130, { deadlineMs: waitMs, what: "some records" });
		const node = nodes.get("n2")!;
		await node.kill9("supervisor");
		const killed = rig.produced.get(`${topic}/0`)!;
		for (const folder of node.sharedDirectories()) rmSync(folder, { recursive: true });
		// More than those that the dead node had passed on.
		await waitFor(() => survivors.every((client) => client.texts().some((text) => text === `${topic}/0:${killed + 20}`)), {
			deadlineMs: waitMs,
			what: "records that the dead node's partitions got after its death",
		});
		away.leave();
		await rig.produce(`${topic}-kept`, 1, 10);
		away.comeBack(urls("n1")[0]!);
		await away.subscribed(2);
		expect(away.contexts.at(-1)).toMatchObject({ wasRecovering: true, recovered: true });
		await divided("n1");
		await startNode("n2", topic, "shared");
		const back = await listen("n2");
		await divided("n1", "n2");
		await stop();
		await produce(topic, 20);
		await Promise.all([...survivors, ...back].map((client) => rig.caughtUp(client)));
		await Promise.all([away, there].map((follower) => follower.has(130)));
		expect(rig.report(survivors), "clients of the node that lived").toMatchObject(flawless);
		expect(rig.report(back, "first seen"), "clients of the node that came back").toMatchObject(flawless);
		expect(away.offsets).toEqual(there.offsets);
		continuous(away);
		// Clients of the dead node: none twice, none out of order, up to its death.
		const { duplicated, reordered, unexpected } = rig.report(victims);
		expect({ duplicated, reordered, unexpected }).toEqual({ duplicated: 0, reordered: 0, unexpected: 0 });
	});
});
