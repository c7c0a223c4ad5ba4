import type { KafkaTarget } from "./thread/kafka-source.ts";

/** What a load test with `--source kafka` needs besides the cluster: a topic, and a broker unless one runs already. */
export interface KafkaSubject {
	readonly target: KafkaTarget;
	/** Flags with which a cluster reads that topic as the load test writes it. */
	readonly clusterFlags: readonly string[];
	stop(): Promise<void>;
}

const partitions = 4;

/** @param channels whether messages go to channels, by their key, or to everybody. */
export async function prepareKafka(brokers: string | null, topic: string, channels: boolean): Promise<KafkaSubject> {
	// Only now: a load test without Kafka, and each of its threads, starts quicker without that library.
	const { connectKafka, KafkaBroker } = await import("@shardcast/testkit/kafka");
	const broker = brokers === null ? await KafkaBroker.run({ lasting: true }) : null;
	const target = { brokers: brokers ?? broker!.brokers, topic, partitions };
	try {
		const client = await connectKafka(target.brokers);
		const topics = await client.admin.listTopics();
		if (!topics.includes(topic)) await client.createTopic(topic, partitions);
		const there = (await client.admin.fetchTopicOffsets(topic)).length;
		await client.close();
		if (there < partitions) throw new Error(`topic ${topic} has ${there} partitions; the load test uses ${partitions}`);
	} catch (error) {
		await broker?.remove();
		throw error;
	}
	const channel = channels ? "{key}" : "*";
	return {
		target,
		clusterFlags: ["--kafka-brokers", target.brokers, "--kafka-topics", topic, "--kafka-format", "binary", "--kafka-channel", channel],
		stop: async () => {
			await broker?.remove();
		},
	};
}
