import { type Admin, Kafka, logLevel, type Producer } from "kafkajs";

/** What suites do to a broker from outside: topics, records, commits. Closed by `close()`. */
export interface KafkaClient {
	readonly admin: Admin;
	readonly producer: Producer;
	/** A producer of transactions, to be connected and disconnected by the caller. */
	transactional(id: string): Producer;
	createTopic(topic: string, partitions: number, config?: Record<string, string>): Promise<void>;
	close(): Promise<void>;
}

const servedTimeoutMs = 30_000;
const servedPollMs = 50;

/**
 * Until the leader of each partition answers for it. The controller answers a creation before the broker has learnt of it, and a
 * busy one takes a second; kafkajs' own wait gives up at the first "does not host this topic" in between.
 */
async function untilServed(admin: Admin, topic: string, partitions: number): Promise<void> {
	const endMs = performance.now() + servedTimeoutMs;
	for (;;) {
		try {
			const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
			const served = topics.flatMap((found) => found.partitions).filter(({ leader }) => leader >= 0);
			// The leader may have been chosen and not know of it yet: only its own answer tells.
			if (served.length === partitions && (await admin.fetchTopicOffsets(topic)).length === partitions) return;
		} catch (error) {
			if (!mayPass(error) || performance.now() > endMs) throw error;
		}
		if (performance.now() > endMs) throw new Error(`topic ${topic} has no leaders after ${servedTimeoutMs} ms`);
		await new Promise((resolve) => setTimeout(resolve, servedPollMs));
	}
}

/** kafkajs marks errors as retriable, and wraps them in one that is not when it has retried itself. */
function mayPass(error: unknown): boolean {
	const { retriable, cause } = error as { retriable?: boolean; cause?: { retriable?: boolean } };
	return retriable === true || cause?.retriable === true;
}

export async function connectKafka(brokers: string): Promise<KafkaClient> {
	process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
	const kafka = new Kafka({
		clientId: "shardcast-testkit",
		brokers: brokers.split(","),
		logLevel: logLevel.NOTHING,
		// kafkajs would double its pauses up to half a minute: a missing broker is said late, and one that is back is found late.
		retry: { retries: 10, maxRetryTime: 1000 },
	});
	const admin = kafka.admin();
	// What was connected once outlives a broker's slow restart.
	const producer = kafka.producer({
		idempotent: true,
		maxInFlightRequests: 1,
		metadataMaxAge: 500,
		retry: { retries: 120, maxRetryTime: 1000 },
	});
	await Promise.all([admin.connect(), producer.connect()]);
	return {
		admin,
		producer,
		transactional: (transactionalId) => kafka.producer({ idempotent: true, maxInFlightRequests: 1, transactionalId }),
		createTopic: async (topic, numPartitions, config = {}) => {
			const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
			await admin.createTopics({ topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }], waitForLeaders: false });
			await untilServed(admin, topic, numPartitions);
		},
		close: async () => {
			await Promise.all([admin.disconnect(), producer.disconnect()]);
		},
	};
}
