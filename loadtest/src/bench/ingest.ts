import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import {
	type Cluster,
	describeEnd,
	handshakeKey,
	httpRequest,
	ManagedProcess,
	RawSocket,
	RedisServer,
	Scrape,
	startCluster,
	waitFor,
} from "@shardcast/testkit";
import { connectKafka, KafkaBroker } from "@shardcast/testkit/kafka";
import { Servers } from "../servers.ts";
import { redisCpuMs } from "./support/redis-cpu.ts";
import { roundsFrom, runBench } from "./support/report.ts";
import { benchProgram, withCleanup } from "./support/subject.ts";

/**
 * What Kafka costs a shard. First, how fast one shard takes records from Kafka to one subscriber, against a bare kafkajs consumer
 * that only counts them. Then what it costs that N shards each read everything (per-shard), against one reader per partition
 * and the bus (shared). Then the same with two nodes, which pass records on through Redis in shared mode.
 */
const topic = "bench";
const partitions = 4;
const batchRecords = 2000;
const deadlineMs = 120_000;
/** At full speed a subscriber that does not get the CPU for a few milliseconds is a slow client; it is not what is measured here. */
const patience = ["--max-buffered", "1GiB"];

const rounds = roundsFrom(process.argv.slice(2), 3);

/** Counts the messages received over one WebSocket. */
class Subscriber {
	count = 0;
	firstMs = 0;
	lastMs = 0;
	readonly #socket: RawSocket;
	#closed = false;
	#lost: string | null = null;

	private constructor(url: string, opened: () => void) {
		const { hostname, port } = new URL(url);
		const options = { host: hostname, port: Number(port), path: "/", key: handshakeKey(), readBuffer: Buffer.allocUnsafe(1 << 20) };
		this.#socket = new RawSocket(0, options, {
			opened,
			message: () => {
				this.lastMs = performance.now();
				if (this.count++ === 0) this.firstMs = this.lastMs;
			},
			ended: (_socket, end) => {
				if (!this.#closed) this.#lost = describeEnd(end);
			},
		});
	}

	static open(url: string): Promise<Subscriber> {
		return new Promise((resolve) => {
			const subscriber: Subscriber = new Subscriber(url, () => setImmediate(() => resolve(subscriber)));
		});
	}

	async until(count: number): Promise<void> {
		const endsMs = performance.now() + deadlineMs;
		while (this.count < count) {
			if (this.#lost !== null) throw new Error(`the subscriber lost its connection after ${this.count} records: ${this.#lost}`);
			if (performance.now() > endsMs) throw new Error(`${this.count} of ${count} records came within ${deadlineMs} ms`);
			await sleep(5);
		}
	}

	close(): void {
		this.#closed = true;
		this.#socket.tcp.destroy();
	}
}

async function produce(brokers: string, records: number, bytes: number, perSecond = Number.POSITIVE_INFINITY): Promise<void> {
	const client = await connectKafka(brokers);
	const value = Buffer.alloc(bytes, "x");
	const beganMs = performance.now();
	for (let sent = 0; sent < records; sent += batchRecords) {
		const messages = Array.from({ length: batchRecords }, (_, index) => ({ partition: index % partitions, key: null, value }));
		await client.producer.send({ topic, acks: -1, messages });
		await sleep(Math.max(0, beganMs + ((sent + batchRecords) * 1000) / perSecond - performance.now()));
	}
	await client.close();
}

async function brokerWith(records: number, bytes: number): Promise<KafkaBroker> {
	const broker = await KafkaBroker.run({ lasting: true, properties: { "log.segment.bytes": "1073741824" } });
	const client = await connectKafka(broker.brokers);
	await client.createTopic(topic, partitions);
	await client.close();
	await produce(broker.brokers, records, bytes);
	return broker;
}

async function bare(broker: KafkaBroker, records: number): Promise<{ recordsPerSecond: number; loopLagP99Ms: number }> {
	const program = join(import.meta.dirname, "support/ingest-bare.js");
	const process = await ManagedProcess.start(program, [broker.brokers, topic, String(records)]);
	const [line] = await process.waitForOutput(/^\{.*\}$/m, deadlineMs);
	await process.stop();
	return JSON.parse(line) as { recordsPerSecond: number; loopLagP99Ms: number };
}

async function worstLoopLagMs(cluster: Cluster): Promise<number> {
	const { body } = await httpRequest(`${cluster.httpUrl}/metrics`);
	const values = [...body.matchAll(/^shardcast_shard_loop_lag_p99_seconds\{.*\} (.*)$/gm)].map((match) => Number(match[1]));
	return Math.max(...values) * 1000;
}

/** The broker is stopped in its tracks until the subscriber is there, so that no record passes before. */
function shard(broker: KafkaBroker, records: number): Promise<{ recordsPerSecond: number; loopLagP99Ms: number }> {
	return withCleanup(async (ends) => {
		process.kill(broker.pid!, "SIGSTOP");
		ends.push(async () => void process.kill(broker.pid!, "SIGCONT"));
		const flags = ["--kafka-brokers", broker.brokers, "--kafka-topics", topic, "--kafka-from", "earliest", ...patience];
		const cluster = await startCluster({ shards: 1, flags });
		ends.push(async () => void (await cluster.stop()));
		const subscriber = await Subscriber.open(cluster.shardUrl(0));
		process.kill(broker.pid!, "SIGCONT");
		await subscriber.until(1);
		let loopLagP99Ms = 0;
		const watch = setInterval(async () => {
			loopLagP99Ms = Math.max(loopLagP99Ms, await worstLoopLagMs(cluster));
		}, 1000);
		await subscriber.until(records).finally(() => clearInterval(watch));
		// The gauge covers the last second; the end of the run is in it once more.
		loopLagP99Ms = Math.max(loopLagP99Ms, await worstLoopLagMs(cluster));
		if (subscriber.count !== records) throw new Error(`${subscriber.count} records came of ${records}`);
		subscriber.close();
		return { recordsPerSecond: ((records - 1) * 1000) / (subscriber.lastMs - subscriber.firstMs), loopLagP99Ms };
	});
}

function modes(broker: KafkaBroker, mode: string, shards: number): Promise<{ cpuUsPerRecord: number }> {
	const records = 40_000;
	const perSecond = 10_000;
	return withCleanup(async (ends) => {
		const cluster = await startCluster({
			shards,
			flags: ["--kafka-brokers", broker.brokers, "--kafka-topics", topic, "--kafka-mode", mode, ...patience],
		});
		ends.push(async () => void (await cluster.stop()));
		const subscribers = await Promise.all(Array.from({ length: shards }, (_, slot) => Subscriber.open(cluster.shardUrl(slot))));
		const servers = await Servers.find(cluster.httpUrl);
		await sleep(2000);
		const cpuMsBefore = servers.cpuMs();
		await produce(broker.brokers, records, 128, perSecond);
		await Promise.all(subscribers.map((subscriber) => subscriber.until(records)));
		const cpuMs = servers.cpuMs() - cpuMsBefore;
		for (const subscriber of subscribers) subscriber.close();
		return { cpuUsPerRecord: (cpuMs * 1000) / records };
	});
}

/** Two nodes of one shard, each with a subscriber. */
function nodes(broker: KafkaBroker, mode: string): Promise<{ cpuUsPerRecord: number; redisUsPerRecord: number }> {
	const records = 40_000;
	const perSecond = 10_000;
	return withCleanup(async (ends) => {
		const redis = await RedisServer.start();
		ends.push(() => redis.stop());
		const kafka = ["--kafka-brokers", broker.brokers, "--kafka-topics", topic, "--kafka-mode", mode, ...patience];
		const clusters = await Promise.all(
			["n1", "n2"].map((id) => startCluster({ shards: 1, flags: [...kafka, "--redis-url", redis.url, "--node-id", id] })),
		);
		ends.push(async () => void (await Promise.all(clusters.map((cluster) => cluster.stop()))));
		const subscribers = await Promise.all(clusters.map((cluster) => Subscriber.open(cluster.shardUrl(0))));
		const readHere = mode === "shared" ? partitions / clusters.length : partitions;
		const isDivided = async (cluster: Cluster) =>
			(await Scrape.of(cluster.httpUrl)).sum("shardcast_kafka_partitions", { source: "kafka" }) === readHere;
		await waitFor(async () => (await Promise.all(clusters.map(isDivided))).every(Boolean), {
			deadlineMs: 30_000,
			what: "the partitions to be divided",
			everyMs: 200,
		});
		const servers = await Promise.all(clusters.map((cluster) => Servers.find(cluster.httpUrl)));
		const cpuMs = () => servers.reduce((sum, each) => sum + each.cpuMs(), 0);
		const redisMs = () => redisCpuMs(redis.order("INFO", "cpu"));
		const [cpuMsBefore, redisMsBefore] = [cpuMs(), redisMs()];
		await produce(broker.brokers, records, 128, perSecond);
		await Promise.all(subscribers.map((subscriber) => subscriber.until(records)));
		const cpuUsPerRecord = ((cpuMs() - cpuMsBefore) * 1000) / records;
		const redisUsPerRecord = ((redisMs() - redisMsBefore) * 1000) / records;
		for (const subscriber of subscribers) {
			if (subscriber.count !== records) throw new Error(`${subscriber.count} records came of ${records}`);
			subscriber.close();
		}
		return { cpuUsPerRecord, redisUsPerRecord };
	});
}

await benchProgram(async () => {
	for (const { bytes, records } of [
		{ bytes: 128, records: 1_200_000 },
		{ bytes: 1024, records: 600_000 },
	])
		await withCleanup(async (ends) => {
			const broker = await brokerWith(records, bytes);
			ends.push(() => broker.remove());
			await runBench({
				name: `ingest-${bytes}`,
				rounds,
				warmups: 1,
				figures: {
					recordsPerSecond: { unit: "records/s", better: "higher", help: "from the first record to the last" },
					loopLagP99Ms: { unit: "ms", better: "lower", help: "delay of the event loop meanwhile, worst second" },
				},
				baseline: "kafkajs",
				variants: { kafkajs: () => bare(broker, records), shard: () => shard(broker, records) },
				targets: [
					{ variant: "shard", figure: "recordsPerSecond", ratioAtLeast: 0.8 },
					{ variant: "shard", figure: "loopLagP99Ms", atMost: 20 },
				],
				setup: { records, bytes, partitions, subscribers: 1 },
			});
		});
	await withCleanup(async (ends) => {
		const broker = await brokerWith(0, 128);
		ends.push(() => broker.remove());
		await runBench({
			name: "ingest-modes",
			rounds,
			figures: {
				cpuUsPerRecord: { unit: "µs", better: "lower", help: "CPU of all server processes per record, 10,000/s, one subscriber per shard" },
			},
			baseline: "perShard2",
			variants: {
				perShard1: () => modes(broker, "per-shard", 1),
				perShard2: () => modes(broker, "per-shard", 2),
				shared2: () => modes(broker, "shared", 2),
				perShard4: () => modes(broker, "per-shard", 4),
				shared4: () => modes(broker, "shared", 4),
			},
			setup: { bytes: 128, partitions },
		});
		await runBench({
			name: "ingest-nodes",
			rounds,
			figures: {
				cpuUsPerRecord: { unit: "µs", better: "lower", help: "CPU of all server processes per record, 10,000/s, two nodes of one shard" },
				redisUsPerRecord: { unit: "µs", better: "lower", help: "CPU of Redis per record" },
			},
			baseline: "perShard",
			variants: { perShard: () => nodes(broker, "per-shard"), shared: () => nodes(broker, "shared") },
			setup: { bytes: 128, partitions },
		});
	});
});
