import { ProtocolReader, ProtocolWriter } from "../client/protocol-bytes.ts";
import type { ProtocolRequest } from "./fetch-protocol.ts";

interface PartitionMetadata {
	readonly partitionId: number;
	/** -1 when there is no leader. */
	readonly leader: number;
	/** Counts the partition's leaders. Absent when the broker does not report it. */
	readonly leaderEpoch?: number;
	readonly partitionErrorCode: number;
}

export interface TopicMetadata {
	readonly topic: string;
	/** Unique, even among topics that had the same name. Null when the broker does not report it. */
	readonly topicId?: string | null;
	readonly topicErrorCode: number;
	/** Whether our user may read it. Absent when the broker was not asked, or does not report it. */
	readonly mayRead?: boolean;
	readonly partitionMetadata: readonly PartitionMetadata[];
}

/** kafkajs' cluster metadata, with topic ids. */
export interface ClusterMetadata {
	readonly throttleTime: number;
	readonly brokers: readonly { readonly nodeId: number; readonly host: string; readonly port: number; readonly rack: string | null }[];
	readonly clusterId: string | null;
	readonly controllerId: number;
	readonly topicMetadata: readonly TopicMetadata[];
	/** Requested names that our user may not see. The broker does not say whether such a topic exists. */
	readonly denied?: readonly string[];
}

/** Metadata version 12: brokers since 3.1, the ones that also support fetches by topic id. */
const apiKey = 3;
const apiVersion = 12;
const deniedCode = 29;
/** Errors that mean "no such topic": unknown topic, invalid name, access denied. */
const absent: readonly number[] = [3, 17, deniedCode];
/** The bit for "read" in a topic's authorized operations. */
const readBit = 1 << 3;
/** Authorized operations were not requested. */
const notTold = -(2 ** 31);

class MetadataFailed extends Error {
	override readonly name = "MetadataFailed";
}

/** Whether a broker with this ApiVersions answer supports this request. */
export function supportsTopicIds(versions: Readonly<Record<number, { readonly maxVersion: number }>> | null): boolean {
	return (versions?.[apiKey]?.maxVersion ?? 0) >= apiVersion;
}

/**
 * A metadata request with topic ids, which kafkajs' own (version 6) lacks. Missing topics are left out of the answer; kafkajs fails the
 * whole request.
 * @param topics empty = all topics. Then authorized operations are not requested: with thousands of topics they are most of the cost.
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
		writer.int64(0).int64(0); // no id: the request is by name
		writer.text(topic).noTags();
	});
	return writer
		.int8(0) // do not create topics
		.int8(topics.length > 0 ? 1 : 0) // include authorized operations
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
		// Replicas, in-sync replicas, offline replicas.
		for (let list = 0; list < 3; list++) reader.list(() => reader.int32());
		reader.tags();
		return { partitionErrorCode, partitionId, leader, leaderEpoch };
	});
	const operations = reader.int32();
	reader.tags();
	const common = { topic, topicId, topicErrorCode, partitionMetadata };
	return operations === notTold ? common : { ...common, mayRead: (operations & readBit) !== 0 };
}
