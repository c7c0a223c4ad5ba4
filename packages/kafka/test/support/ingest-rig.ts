import { type Cluster, DeliveryChecker, type DeliveryReport, RawClient, startCluster, waitFor } from "@shardcast/testkit";
import { acquireKafka, connectKafka, type KafkaClient, type KafkaNeeds, type TestKafka } from "@shardcast/testkit/kafka";

export const flawless = { lost: 0, duplicated: 0, reordered: 0, unexpected: 0, examples: [] };

/** A broker, a cluster that reads from it, numbered records per partition, and clients that count them. */
export class KafkaRig {
	readonly kafka: TestKafka;
	client: KafkaClient;
	/** The one started last. */
	cluster!: Cluster;
	readonly #starts: Promise<Cluster>[] = [];
	/** Records produced so far, by topic and partition. */
	readonly produced = new Map<string, number>();

	private constructor(kafka: TestKafka, client: KafkaClient) {
		this.kafka = kafka;
		this.client = client;
	}

	/** @param needs `own` for a broker that the suite may stop. */
	static async create(needs: KafkaNeeds = {}): Promise<KafkaRig> {
		const kafka = await acquireKafka(needs);
		return new KafkaRig(kafka, await connectKafka(kafka.brokers));
	}

	/** Starts the cluster and waits until Kafka is no trouble to it: it knows where each partition begins, so that what is produced from now on is delivered. */
	async start(shards: number, flags: readonly string[]): Promise<Cluster> {
		const common = ["--kafka-brokers", this.kafka.brokers, "--kafka-metadata-age", "300ms", "--kafka-commit-interval", "200ms"];
		// A test knows which shard each of its clients is on.
		common.push("--no-rebalance-shards");
		// Shards that a test kills again and again come back each time at once.
		common.push("--restart-backoff-max", "250ms");
		const starting = startCluster({ shards, flags: [...common, ...flags] });
		this.#starts.push(starting);
		const cluster = await starting;
		this.cluster = cluster;
		await this.healthy(30_000, cluster);
		return cluster;
	}

	async healthy(deadlineMs = 30_000, cluster = this.cluster): Promise<void> {
		await waitFor(
			async () => {
				const { status, reasons } = await cluster.health();
				if (status !== "healthy") throw new Error(reasons.join("; "));
				return true;
			},
			{ deadlineMs, what: "a healthy cluster" },
		);
	}

	/** After `kill9`: waits for the shard's next process. Just after the death, health may still tell of the dead one. */
	async servesAgain(slot: number, killedPid: number, cluster = this.cluster): Promise<void> {
		await waitFor(
			async () => {
				const { status, pid } = (await cluster.health()).shards[slot]!;
				return status === "healthy" && pid !== killedPid;
			},
			{ deadlineMs: 30_000, what: `shard ${slot} to be back` },
		);
	}

	/** Produces the next `count` records of each partition, in rounds, each `topic/partition:sequence`. */
	async produce(topic: string, partitions: number, count: number): Promise<void> {
		const messages: { partition: number; value: string }[] = [];
		for (let round = 0; round < count; round++)
			for (let partition = 0; partition < partitions; partition++) {
				const key = `${topic}/${partition}`;
				const sequence = this.produced.get(key) ?? 0;
				this.produced.set(key, sequence + 1);
				messages.push({ partition, value: `${key}:${sequence}` });
			}
		// One send after the other: kafkajs tries again by itself, and a send that follows meanwhile would overtake in the log.
		const sent = this.#sends.then(() => this.client.producer.send({ topic, acks: -1, messages }));
		this.#sends = sent.catch(() => {});
		await sent;
	}
	#sends: Promise<unknown> = Promise.resolve();

	/** Produces a few records every few milliseconds until the returned function is called. */
	produceSteadily(topic: string, partitions: () => number): () => Promise<void> {
		return this.produceUntil(async (isOver) => {
			while (!isOver()) {
				await this.produce(topic, partitions(), 2);
				await new Promise((resolve) => setTimeout(resolve, 20));
			}
		});
	}

	/**
	 * @param run produces until it is told that it is over: by the function that this returns, which throws what `run` throws, or by `reset` after a
	 * test that did not come so far.
	 */
	produceUntil(run: (isOver: () => boolean) => Promise<void>): () => Promise<void> {
		let over = false;
		const running = run(() => over);
		const stop = async () => {
			over = true;
			this.#producing.delete(stop);
			await running;
		};
		// The test may fail before it asks how this went.
		running.catch(() => {});
		this.#producing.add(stop);
		return stop;
	}

	readonly #producing = new Set<() => Promise<void>>();

	/** After a test whose clusters go on: the next one counts from its own first record. */
	async forget(): Promise<void> {
		// All of them, also when one has failed: that is told last.
		const ends = await Promise.allSettled([...this.#producing].map((stop) => stop()));
		this.produced.clear();
		for (const end of ends) if (end.status === "rejected") throw end.reason;
	}

	/** After each test, whatever came of it; or at the end of a file whose tests share their clusters. */
	async reset(): Promise<void> {
		const forgotten = this.forget();
		await forgotten.catch(() => {});
		// Also one that is still starting while another, side by side with it, has failed.
		const starts = await Promise.allSettled(this.#starts.splice(0));
		const clusters = new Set([this.cluster, ...starts.map((each) => (each.status === "fulfilled" ? each.value : undefined))]);
		await Promise.all([...clusters].map((cluster) => (cluster?.process.status() === null ? cluster.stop() : null)));
		await forgotten;
	}

	/** Waits until the client has the last record of every partition; while more are produced, the last of those that `until` counts. */
	async caughtUp(client: RawClient, deadlineMs = 20_000, until: ReadonlyMap<string, number> = this.produced): Promise<void> {
		const last = new Map<string, number>();
		let seen = 0;
		await waitFor(
			() => {
				// Only what is new since the last look: all of it again and again would take the CPU from those that deliver.
				for (; seen < client.messages.length; seen++) {
					const { partition, sequence } = parse(client.messages[seen]!.bytes.toString());
					last.set(partition, Math.max(last.get(partition) ?? -1, sequence));
				}
				for (const [partition, count] of until)
					if ((last.get(partition) ?? -1) < count - 1)
						throw new Error(`${partition}: has ${last.get(partition)}, not ${count - 1}${client.ending}`);
				return true;
			},
			{ deadlineMs, what: "the last records", everyMs: 50 },
		);
	}

	/**
	 * Exactly once and in order of the partition, from the first record of each partition, or from the first that it got.
	 * @param until what must have arrived, while more are produced.
	 */
	report(
		clients: readonly RawClient[],
		from: "start" | "first seen" = "start",
		until: ReadonlyMap<string, number> = this.produced,
	): DeliveryReport {
		const partitions = [...until.keys()];
		const checker = new DeliveryChecker(clients.length, partitions.length);
		const offsets = clients.map((client) => {
			const first = new Map<string, number>();
			for (const text of client.texts()) {
				const { partition, sequence } = parse(text);
				if (!first.has(partition)) first.set(partition, from === "start" ? 0 : sequence);
			}
			return first;
		});
		clients.forEach((client, index) => {
			for (const text of client.texts()) {
				const { partition, sequence } = parse(text);
				// Produced after `until` was noted down; also in a partition that there was not yet.
				const count = until.get(partition) ?? 0;
				if (sequence >= count && sequence < (this.produced.get(partition) ?? 0)) continue;
				if (!until.has(partition)) {
					checker.stray(index, text);
					continue;
				}
				const shifted = sequence - offsets[index]!.get(partition)!;
				// Below what it saw first: the past, or an order that is wrong.
				if (shifted < 0) checker.stray(index, text);
				else checker.saw(index, partitions.indexOf(partition), shifted);
			}
		});
		return checker.report((client, sender) => {
			const partition = partitions[sender]!;
			return until.get(partition)! - (offsets[client]!.get(partition) ?? 0);
		});
	}

	/** kafkajs drops records silently for a partition that it has not heard of yet; a new producer has heard of all. */
	async renewProducer(): Promise<void> {
		const old = this.client;
		this.client = await connectKafka(this.kafka.brokers);
		await old.close();
	}

	listen(urls: readonly string[]): Promise<RawClient[]> {
		return Promise.all(urls.map((url) => RawClient.open(url)));
	}

	async close(): Promise<void> {
		await this.client.close();
		await this.kafka.release();
	}
}

function parse(text: string): { partition: string; sequence: number } {
	const at = text.lastIndexOf(":");
	return { partition: text.slice(0, at), sequence: Number(text.slice(at + 1)) };
}
