import { ProtocolReader, ProtocolWriter } from "../client/protocol-bytes.ts";
import type { ProtocolRequest } from "./fetch-protocol.ts";

export interface PartitionMetadata {
	readonly partitionId: number;
	/** -1 = there is none at present. */
	readonly leader: number;
	/** Counts the partition's leaders. Not there where the broker does not tell. */
	readonly leaderEpoch?: number;
	readonly partitionErrorCode: number;
}

export interface TopicMetadata {
	readonly topic: string;
	/** Unlike that of any other topic, also of one that had the same name before. Null where the broker does not tell. */
	readonly topicId?: string | null;
	readonly topicErrorCode: number;
	/** Whether we may read it. Not there where the broker was not asked, or does not tell. */
	readonly mayRead?: boolean;
	readonly partitionMetadata: readonly PartitionMetadata[];
}

/** As kafkajs has it, with the topics' ids. */
export interface ClusterMetadata {
	readonly throttleTime: number;
	readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number; readonly rack: string | null }[];
	readonly clusterId: string | null;
	readonly controllerId: number;
	readonly topicMetadata: readonly TopicMetadata[];
	/** Names asked for of which the broker says only that we may not see them, whether there is such a topic or not. */
	readonly denied?: readonly string[];
}

/** Metadata, version 12: brokers from 3.1 on take it, those that can also fetch by topic id. */
const apiKey = 3;
const apiVersion = 12;
const deniedCode = 29;
/** Unknown topic, name that no topic may have, not for us to see: there is no such topic as far as we are concerned. */
const absent: readonly number[] = [3, 17, deniedCode];
/** Of the operations that a broker says we may do. */
const readBit = 1 << 3;
/** The broker was not asked what we may do. */
const notTold = -(2 ** 31);

class MetadataFailed extends Error {
	override readonly name = "MetadataFailed";
}

/** Whether a broker that answered ApiVersions so takes this request. */
export function tellsTopicIds(versions: Readonly<Record<number, { readonly maxVersion: number }>> | null): boolean {
	return (versions?.[apiKey]?.maxVersion ?? 0) >= apiVersion;
}

/**
 * Metadata with topic ids, which kafkajs' own (version 6) does not have. Topics that do not exist are left out of the answer, where
 * kafkajs fails the whole request. No names = all topics; then the broker is not asked what we may do with each, which costs it more
 * than the rest where there are thousands.
 */
export function metadataRequest(topics: readonly string[], timeoutMs: number): ProtocolRequest<ClusterMetadata> {
	return {
		request: {
			apiKey,
			apiVersion,
			apiName: "Metadata",
			encode: async () => {
				const buffer = encode(topics);
				return { buf: buffer, buffer };
			},
		},
		response: { decode: async (payload) => decode(payload), parse: async (decoded) => decoded },
		requestTimeout: timeoutMs,
	};
}

function encode(topics: readonly string[]): Buffer {
	// The end of the request's header, which kafkajs writes without tagged fields.
	const writer = new ProtocolWriter().noTags();
	writer.list(topics.length === 0 ? null : topics, (topic) => {
		writer.int64(0).int64(0); // no id: we ask by name
		writer.text(topic).noTags();
	});
	return writer
		.int8(0) // no topic is to be made
		.int8(topics.length > 0 ? 1 : 0) // whether it is to tell what we may do
		.noTags()
		.bytes();
}

function decode(payload: Buffer): ClusterMetadata {
	const reader = new ProtocolReader(payload);
	reader.tags(); // of the header
	const throttleTime = reader.int32();
	const brokers = reader.list(() => {
		const broker = { nodeId: reader.int32(), host: reader.text() ?? "", port: reader.int32(), rack: reader.text() };
		reader.tags();
		return broker;
	});
	const clusterId = reader.text();
	const controllerId = reader.int32();
	const all = reader.list(() => topicFrom(reader));
	const denied = all.filter(({ topicErrorCode }) => topicErrorCode === deniedCode).map(({ topic }) => topic);
	const topicMetadata = all.filter(({ topicErrorCode }) => !absent.includes(topicErrorCode));
	const failed = topicMetadata.find(({ topicErrorCode }) => topicErrorCode !== 0);
	if (failed !== undefined) throw new MetadataFailed(`topic ${failed.topic} cannot be looked up (error ${failed.topicErrorCode})`);
	return { throttleTime, brokers, clusterId, controllerId, topicMetadata, denied };
}

function topicFrom(reader: ProtocolReader): TopicMetadata {
	const topicErrorCode = reader.int16();
	const topic = reader.text() ?? "";
	const topicId = reader.id();
	reader.int8(); // internal
	const partitionMetadata = reader.list(() => {
		const partitionErrorCode = reader.int16();
		const partitionId = reader.int32();
		const leader = reader.int32();
		const leaderEpoch = reader.int32();
		// Replicas, those in sync, those that are away.
		for (let list = 0; list < 3; list++) reader.list(() => reader.int32());
		reader.tags();
		return { partitionErrorCode, partitionId, leader, leaderEpoch };
	});
	const operations = reader.int32();
	reader.tags();
	const common = { topic, topicId, topicErrorCode, partitionMetadata };
	return operations === notTold ? common : { ...common, mayRead: (operations & readBit) !== 0 };
}
