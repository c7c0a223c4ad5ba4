import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { RawClient, Scrape, waitFor } from "@shardcast/testkit";
import { kafkaForTests } from "@shardcast/testkit/kafka";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { Follower } from "../support/follower.ts";
import { KafkaRig } from "../support/ingest-rig.ts";

/** Memory holds the last 200; the rest is Kafka's. */
const settings =
	"client: { insecure: true }\nchannel:\n  namespaces:\n    - { name: kf, history_size: 200, history_ttl: 5m, force_recovery: true }\n";

describe.skipIf(!(await kafkaForTests()))("channels with a history that Kafka feeds, on 2 shards", () => {
	let rig: KafkaRig;
	let directory: string;
	let topics = 0;
	const followers: Follower[] = [];
	beforeAll(async () => {
		rig = await KafkaRig.create();
		directory = mkdtempSync(join(tmpdir(), "shardcast-"));
		writeFileSync(join(directory, "shardcast.yaml"), settings);
	}, 60_000);
	afterEach(async () => {
		for (const { client } of followers.splice(0)) client.disconnect();
		await rig.reset();
	});
	afterAll(async () => {
		await rig.close();
		rmSync(directory, { recursive: true });
	});

	async function start(partitions: number, ...flags: string[]): Promise<string> {
		const topic = `history-${process.pid}-${topics++}`;
		await rig.client.createTopic(topic, partitions);
		const own = [
			"--config",
			join(directory, "shardcast.yaml"),
			"--kafka-topics",
			topic,
			"--kafka-group",
			topic,
			"--kafka-channel",
			"{key}",
		];
		await rig.start(2, [...own, "--kafka-recovery-limit", "20000", "--kafka-recovery-timeout", "30s", "--max-buffered", "8MiB", ...flags]);
		return topic;
	}

	const counts = new Map<string, number>();
	/** The next `count` records of the channel, numbered from 0. */
	async function produce(topic: string, channel: string, count: number, partition = 0): Promise<void> {
		const first = counts.get(`${topic} ${channel}`) ?? 0;
		counts.set(`${topic} ${channel}`, first + count);
		const messages = Array.from({ length: count }, (_, index) => ({ partition, key: channel, value: JSON.stringify(first + index) }));
		await rig.client.producer.send({ topic, acks: -1, messages });
	}

	async function follow(url: string, channel: string): Promise<Follower> {
		const follower = new Follower(url, channel);
		followers.push(follower);
		await follower.subscribed(1);
		return follower;
	}

	const numbers = (count: number) => Array.from({ length: count }, (_, index) => index);
	const recoveries = async () => {
		const metrics = await Scrape.of(rig.cluster.httpUrl);
		return Object.fromEntries(
			["memory", "kafka", "failed"].map((result) => [result, metrics.sum("shardcast_recoveries_total", { result })]),
		);
	};

	it("a client that returns, to another shard, gets from Kafka what the memory does not hold, and everything once", {
		timeout: 60_000,
		tags: ["long"],
	}, async () => {
		const topic = await start(1);
		const raw = await RawClient.open(`${rig.cluster.shardUrl(1)}/?channels=kf:a`);
		const [away, there] = [await follow(rig.cluster.shardUrl(0), "kf:a"), await follow(rig.cluster.shardUrl(1), "kf:a")];
		await produce(topic, "kf:b", 3);
		await produce(topic, "kf:a", 4);
		await away.has(4);
		// The offset is Kafka's + 1.
		expect(away.offsets).toEqual([4, 5, 6, 7]);
		away.leave();
		await produce(topic, "kf:a", 2000);
		await produce(topic, "kf:b", 5);
		await produce(topic, "kf:a", 3000);
		await there.has(5004);
		away.comeBack(rig.cluster.shardUrl(1));
		await away.subscribed(2);
		expect(away.contexts[1]).toMatchObject({ wasRecovering: true, recovered: true });
		await produce(topic, "kf:a", 10);
		await Promise.all([away.has(5014), there.has(5014)]);
		expect(away.data).toEqual(numbers(5014));
		expect(there.data).toEqual(numbers(5014));
		expect(away.offsets).toEqual(there.offsets);
		await waitFor(() => raw.messages.length >= 5014, { deadlineMs: 10_000, what: "the raw client's messages" });
		expect(raw.texts()).toEqual(numbers(5014).map(String));
		// A short absence is served from memory.
		away.leave();
		await produce(topic, "kf:a", 5);
		await there.has(5019);
		away.comeBack(rig.cluster.shardUrl(0));
		await away.subscribed(3);
		await away.has(5019);
		expect(away.data).toEqual(numbers(5019));
		expect(await recoveries()).toEqual({ memory: 1, kafka: 1, failed: 0 });
	});

	for (const mode of ["per-shard", "shared"])
		it(`${mode}: kill -9 while clients come and go loses nothing, doubles nothing, and keeps the order`, {
			timeout: 90_000,
			tags: mode === "per-shard" ? ["long"] : [],
		}, async () => {
			const topic = await start(2, "--kafka-mode", mode);
			const channels = ["kf:x", "kf:y", "kf:z"];
			const clients = await Promise.all(
				Array.from({ length: 24 }, (_, n) => follow(n % 3 === 0 ? rig.cluster.url : rig.cluster.shardUrl(n % 2), channels[n % 3]!)),
			);
			let stop = false;
			// Slowly while a shard starts, since what is delivered to many takes the CPU from it.
			let everyMs = 100;
			const producing = (async () => {
				while (!stop) {
					for (const [index, channel] of channels.entries()) await produce(topic, channel, 10, index % 2);
					await pause(everyMs);
				}
			})();
			const far = clients.filter((_, n) => n % 4 === 0);
			await Promise.all(clients.map((client) => client.has(30)));
			for (const client of far) client.leave();
			const { pid } = (await rig.cluster.health()).shards[0]!;
			process.kill(pid!, "SIGKILL");
			await rig.servesAgain(0, pid!);
			everyMs = 30;
			// Those who are away miss more than the memory holds, those of the killed shard perhaps too.
			const before = channels.map((channel) => counts.get(`${topic} ${channel}`)!);
			await waitFor(() => channels.every((channel, index) => counts.get(`${topic} ${channel}`)! > before[index]! + 300), {
				deadlineMs: 20_000,
				what: "more records",
			});
			for (const client of far) client.comeBack(rig.cluster.shardUrl(1));
			await Promise.all(far.map((client) => client.subscribed(2)));
			stop = true;
			await producing;
			await Promise.all(clients.map((client) => client.has(counts.get(`${topic} ${client.channel}`)!)));
			for (const client of clients) {
				expect(client.data).toEqual(numbers(counts.get(`${topic} ${client.channel}`)!));
				expect(client.contexts.slice(1).map(({ recovered }) => recovered)).not.toContain(false);
			}
			const { kafka, failed } = await recoveries();
			expect(kafka).toBeGreaterThan(0);
			expect(failed).toBe(0);
		});

	it("a topic that is recreated has another epoch: who returns is told that it is not recovered", {
		timeout: 60_000,
		tags: ["long"],
	}, async () => {
		const topic = await start(1);
		const [away, there] = [await follow(rig.cluster.url, "kf:a"), await follow(rig.cluster.url, "kf:a")];
		await produce(topic, "kf:a", 3);
		await away.has(3);
		away.leave();
		await rig.client.admin.deleteTopics({ topics: [topic] });
		await waitFor(async () => !(await rig.client.admin.listTopics()).includes(topic), {
			deadlineMs: 10_000,
			what: "the topic to be gone",
		});
		await rig.client.createTopic(topic, 1);
		await rig.renewProducer();
		counts.clear();
		await produce(topic, "kf:a", 5);
		await there.has(8);
		away.comeBack(rig.cluster.url);
		await away.subscribed(2);
		expect(away.contexts[1]).toMatchObject({ wasRecovering: true, recovered: false });
		expect(away.contexts[1]!.streamPosition!.offset).toBe(5);
		expect(away.contexts[1]!.streamPosition!.epoch).not.toBe(away.contexts[0]!.streamPosition!.epoch);
	});
});
