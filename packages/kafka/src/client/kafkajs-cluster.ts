import { type ISocketFactory, Kafka, type KafkaConfig, logLevel } from "kafkajs";
import type { ProtocolRequest } from "../protocol/fetch-protocol.ts";
import { type ClusterMetadata, metadataRequest, supportsTopicIds } from "../protocol/metadata-protocol.ts";
import { plainSocketFactory } from "./broker-socket.ts";
import { type KafkaConnectionOptions, kafkajsConnection } from "./connection-options.ts";

interface TopicOffsets {
	readonly topic: string;
	readonly partitions: readonly { readonly partition: number; readonly offset: string; readonly metadata?: string | null }[];
}

interface KafkajsBroker {
	readonly connectionPool: { send<T>(request: ProtocolRequest<T>): Promise<T> };
	/** Supported versions by API key. Null before it has connected. */
	readonly versions: Readonly<Record<number, { readonly maxVersion: number }>> | null;
	metadata(topics: readonly string[]): Promise<ClusterMetadata>;
	disconnect(): Promise<void>;
	offsetFetch(request: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
		responses: readonly TopicOffsets[];
	}>;
	offsetCommit(request: {
		groupId: string;
		groupGenerationId: number;
		memberId: string;
		topics: { topic: string; partitions: { partition: number; offset: string; metadata: string }[] }[];
	}): Promise<unknown>;
}

/** The part of kafkajs' internal Cluster class used here: connections, metadata, coordinators, log offsets. */
export interface KafkajsCluster {
	targetTopics: Set<string>;
	connect(): Promise<void>;
	disconnect(): Promise<void>;
	isConnected(): boolean;
	refreshMetadata(): Promise<void>;
	findBroker(of: { nodeId: string }): Promise<KafkajsBroker>;
	findGroupCoordinator(of: { groupId: string }): Promise<KafkajsBroker>;
	fetchTopicsOffset(
		topics: { topic: string; partitions: { partition: number }[]; fromBeginning?: boolean; fromTimestamp?: number }[],
	): Promise<readonly TopicOffsets[]>;
	readonly brokerPool: {
		readonly metadata: ClusterMetadata | null;
		/** Creates the object for a broker. A property of each pool, not of its class. */
		createBroker(options: object): KafkajsBroker;
		findConnectedBroker(): Promise<KafkajsBroker>;
	};
}

const createClusterSymbol = "private:Kafka:createCluster";

/** A client that leaves retries to the caller: kafkajs tries twice, then fails. */
export function createKafka(options: KafkaConnectionOptions, more: Pick<KafkaConfig, "requestTimeout" | "socketFactory"> = {}): Kafka {
	return new Kafka({
		socketFactory: plainSocketFactory,
		...more,
		...(kafkajsConnection(options) as KafkaConfig),
		logLevel: logLevel.NOTHING,
		retry: { retries: 1, initialRetryTime: 100, maxRetryTime: 500 },
	});
}

/**
 * Creates a kafkajs Cluster. kafkajs 2.2.4 can consume only as a member of a group: it has no `assign`. Its internal Cluster class has
 * all that a consumer without a group needs, and `new Kafka()` holds its factory under a private symbol. The version is pinned.
 * @throws Error when another version does not have the symbol.
 */
export function createCluster(options: KafkaConnectionOptions, socketFactory: ISocketFactory): KafkajsCluster {
	const kafka = createKafka(options, { socketFactory });
	const symbol = Object.getOwnPropertySymbols(kafka).find((each) => each.description === createClusterSymbol);
	const create = symbol === undefined ? undefined : (kafka as unknown as Record<symbol, unknown>)[symbol];
	if (typeof create !== "function") throw new Error("this version of kafkajs has no createCluster; install 2.2.4");
	const cluster = create({ metadataMaxAge: 0, allowAutoTopicCreation: false, maxInFlightRequests: null }) as KafkajsCluster;
	const { brokerPool } = cluster;
	const { createBroker } = brokerPool;
	brokerPool.createBroker = (options) => withTopicIds(createBroker(options));
	return cluster;
}

const metadataTimeoutMs = 10_000;

/** Makes a kafkajs broker include topic ids in its metadata, if it supports them. */
function withTopicIds(broker: KafkajsBroker): KafkajsBroker {
	const older = broker.metadata.bind(broker);
	broker.metadata = async (topics) => {
		if (!supportsTopicIds(broker.versions)) return older(topics);
		try {
			return await broker.connectionPool.send(metadataRequest(topics, metadataTimeoutMs));
		} catch (error) {
			// As kafkajs does for its own requests, so that the next request opens a new connection.
			if ((error as Error).name === "KafkaJSConnectionClosedError") await broker.disconnect();
			throw error;
		}
	};
	return broker;
}

/** The innermost error, which is the most specific: kafkajs wraps errors when it has retried. */
export function rootCause(error: unknown): Error & { type?: string; code?: unknown } {
	let inner = error as Error & { cause?: unknown; originalError?: unknown };
	for (let depth = 0; depth < 5; depth++) {
		const next = (inner.cause ?? inner.originalError) as typeof inner | undefined;
		if (!(next instanceof Error)) break;
		inner = next;
	}
	return inner;
}
