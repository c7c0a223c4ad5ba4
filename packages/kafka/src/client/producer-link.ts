import type { Kafka } from "kafkajs";
import type { KafkaConnectionOptions } from "./connection-options.ts";
import { createKafka, rootCause } from "./kafkajs-cluster.ts";
import type { ProducedHeader, ProducerRecord } from "./produced-record.ts";

/** A connected producer of one topic. */
export interface ProducerLink {
	/** The topic's `max.message.bytes`, the limit for a batch; null = unknown. */
	readonly batchBytesMax: number | null;
	/** Resolves when all in-sync replicas have the records. */
	send(records: readonly ProducerRecord[]): Promise<void>;
	close(): Promise<void>;
}

const allInSync = -1;
/** Kafka's resource type for topics. */
const topicResource = 2;
/** Timeout of a request, replication included. */
const requestTimeoutMs = 5000;
/** Ten seconds in total: 0.1 + 0.2 + 0.4 + 0.8 + 8 × 1. */
const retry = { initialRetryTime: 100, multiplier: 2, factor: 0, maxRetryTime: 1000, retries: 12 };

/** Connects an idempotent kafkajs producer. It repeats a batch under the same sequence numbers until the brokers have it. */
export async function connectProducer(connection: KafkaConnectionOptions, topic: string): Promise<ProducerLink> {
	process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
	const kafka = createKafka(connection, { requestTimeout: requestTimeoutMs });
	const producer = kafka.producer({
		idempotent: true,
		// With more than one, the next batch could overtake a repeated one.
		maxInFlightRequests: 1,
		allowAutoTopicCreation: false,
		metadataMaxAge: 30_000,
		retry,
	});
	try {
		await producer.connect();
	} catch (error) {
		// It connects before it requests its producer id. If that is refused, its sockets are still open.
		await producer.disconnect().catch(() => undefined);
		throw error;
	}
	return {
		batchBytesMax: await messageBytesMax(kafka, topic),
		send: async (records) => {
			await producer.send({ topic, acks: allInSync, timeout: requestTimeoutMs, messages: records.map(messageOf) });
		},
		close: () => producer.disconnect(),
	};
}

function messageOf({ key, value, headers, timestampMs }: ProducerRecord) {
	return {
		key: key instanceof Uint8Array ? asBuffer(key) : key,
		value: value === null ? null : asBuffer(value),
		headers: headersOf(headers),
		...(timestampMs === undefined ? {} : { timestamp: String(timestampMs) }),
	};
}

/** Headers for kafkajs: a list for a repeated name. Without a prototype, so that `__proto__` is a normal name. */
function headersOf(headers: readonly ProducedHeader[]): Record<string, (string | Buffer)[]> {
	const byName: Record<string, (string | Buffer)[]> = Object.create(null);
	for (const [name, value] of headers) {
		byName[name] ??= [];
		byName[name].push(typeof value === "string" ? value : asBuffer(value));
	}
	return byName;
}

/** Null when the user does not have the permission to describe the topic's configuration. */
async function messageBytesMax(kafka: Kafka, topic: string): Promise<number | null> {
	const admin = kafka.admin();
	try {
		await admin.connect();
		const { resources } = await admin.describeConfigs({
			includeSynonyms: false,
			resources: [{ type: topicResource, name: topic, configNames: ["max.message.bytes"] }],
		});
		const bytes = Number(resources[0]?.configEntries[0]?.configValue);
		return bytes > 0 ? bytes : null;
	} catch {
		// If unknown, a batch may fail once. A missing topic is reported with the first record.
		return null;
	} finally {
		await admin.disconnect().catch(() => undefined);
	}
}

/** Whether the broker refused a batch as too large. Then it has written nothing of it. */
export function isTooLarge(error: unknown): boolean {
	return ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"].includes(rootCause(error).type ?? "");
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
