import type { Kafka } from "kafkajs";
import type { KafkaConnectionOptions } from "./connection-options.ts";
import { createKafka, innermost } from "./kafkajs-cluster.ts";
import type { ProducedHeader, ProducerRecord } from "./produced-record.ts";

/** A connected producer of one topic. */
export interface ProducerLink {
	/** The topic's `max.message.bytes`, which is the most that a batch may be; null = the brokers do not tell us. */
	readonly batchBytesMax: number | null;
	/** Resolves when all replicas in sync have the records. */
	send(records: readonly ProducerRecord[]): Promise<void>;
	close(): Promise<void>;
}

const allInSync = -1;
/** Kafka's number for the configuration of a topic. */
const topicResource = 2;
/** A broker that takes longer over a request, its replicas included, counts as away. */
const requestTimeoutMs = 5000;
/** Ten seconds in all: 0.1 + 0.2 + 0.4 + 0.8 + 8 × 1. */
const retry = { initialRetryTime: 100, multiplier: 2, factor: 0, maxRetryTime: 1000, retries: 12 };

/** An idempotent producer of kafkajs, which repeats a batch under the same sequence numbers until the brokers have it. */
export async function connectProducer(connection: KafkaConnectionOptions, topic: string): Promise<ProducerLink> {
	process.env.KAFKAJS_NO_PARTITIONER_WARNING = "1";
	const kafka = createKafka(connection, { requestTimeout: requestTimeoutMs });
	const producer = kafka.producer({
		idempotent: true,
		// More than one would let a repeated batch be overtaken by the one after it.
		maxInFlightRequests: 1,
		allowAutoTopicCreation: false,
		metadataMaxAge: 30_000,
		retry,
	});
	try {
		await producer.connect();
	} catch (error) {
		// It connects first and asks for its id then: refused, it would leave its sockets open.
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

/** As kafkajs takes them: a list for a name that comes more than once. Without a prototype, so that `__proto__` is a name like any other. */
function headersOf(headers: readonly ProducedHeader[]): Record<string, (string | Buffer)[]> {
	const byName: Record<string, (string | Buffer)[]> = Object.create(null);
	for (const [name, value] of headers) {
		byName[name] ??= [];
		byName[name].push(typeof value === "string" ? value : asBuffer(value));
	}
	return byName;
}

/** Null where we may not ask: that takes the permission to describe the topic's configuration. */
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
		// Not knowing it costs a failed batch at worst; a topic that does not exist is reported by the first record for it.
		return null;
	} finally {
		await admin.disconnect().catch(() => undefined);
	}
}

/** Whether the broker found a batch too large; it has written nothing of it then. */
export function isTooLarge(error: unknown): boolean {
	return ["MESSAGE_TOO_LARGE", "RECORD_LIST_TOO_LARGE"].includes(innermost(error).type ?? "");
}

function asBuffer(bytes: Uint8Array): Buffer {
	return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
