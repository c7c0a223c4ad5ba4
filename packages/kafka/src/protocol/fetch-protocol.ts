import { grouped } from "../client/grouped.ts";
import { ProtocolReader, ProtocolWriter } from "../client/protocol-bytes.ts";
import type { AbortedTransaction } from "./record-reader.ts";

/** One partition of a fetch request. */
export interface FetchTarget {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	readonly offset: number;
	/** Leader epoch that we expect the broker to have; -1 = unknown. A broker with another epoch refuses the request. */
	readonly leaderEpoch: number;
	/** Leader epoch of the record before `offset`; -1 = unknown. A leader whose log has another epoch there reports the divergence. */
	readonly lastEpoch: number;
}

/** The point up to which a leader's log agrees with what was read. Fields are -1 when the leader does not know. */
export interface Divergence {
	readonly epoch: number;
	readonly endOffset: number;
}

/** One partition of the answer; `records` holds the unparsed batches. */
export interface FetchedPartition {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	readonly errorCode: number;
	/** Offset after the last record that a consumer may see, for either isolation level. */
	readonly logEnd: number;
	readonly logStart: number;
	readonly aborted: readonly AbortedTransaction[];
	/** Set when this leader's log does not have the records read before; then it sends no records. Always null with fetches by name. */
	readonly divergence: Divergence | null;
	readonly records: Buffer;
}

export interface FetchLimits {
	readonly waitMsMax: number;
	readonly bytesMax: number;
	readonly partitionBytesMax: number;
}

const apiKey = 1;
/** Fetch by name: the newest version without flexible encoding. Brokers from 2.3 to 4.x accept it. */
const byNameVersion = 11;
/** Fetch by topic id: brokers since 3.1. A topic recreated under the same name is a different topic. */
const byIdVersion = 13;
const readCommitted = 1;
const noReplica = -1;
/** The broker answers as soon as there is a record. */
const bytesMin = 1;
const noSession = { id: 0, epoch: -1 } as const;
/** Used by follower brokers only. */
const noLogStart = -1;
/** Tag of that field in a partition's answer. */
const divergingEpochTag = 0;

/** A request in the form that kafkajs connections accept. */
export interface ProtocolRequest<T> {
	readonly request: { apiKey: number; apiVersion: number; apiName: string; encode(): Promise<{ buf: Buffer; buffer: Buffer }> };
	readonly response: { decode(payload: Buffer): Promise<T>; parse(decoded: T): Promise<T> };
	readonly requestTimeout: number;
}

class FetchFailed extends Error {
	override readonly name = "FetchFailed";
	readonly code: number;
	constructor(code: number) {
		super(`the broker refused the whole fetch (error ${code})`);
		this.code = code;
	}
}

/** Whether a broker with this ApiVersions answer supports fetches by topic id. */
export function supportsFetchById(versions: Readonly<Record<number, { readonly maxVersion: number }>> | null): boolean {
	return (versions?.[apiKey]?.maxVersion ?? 0) >= byIdVersion;
}

/**
 * A fetch that leaves record batches as bytes. kafkajs provides connection, TLS, SASL and framing; its own fetch turns every
 * record into objects, which is most of the cost of consuming.
 * @param mayUseIds whether this broker supports topic ids. They are used if the ids of all targets are known.
 */
export function fetchRequest(
	targets: readonly FetchTarget[],
	limits: FetchLimits,
	mayUseIds: boolean,
): ProtocolRequest<readonly FetchedPartition[]> {
	const byId = mayUseIds && targets.every(({ topicId }) => topicId !== null);
	return {
		request: {
			apiKey,
			apiVersion: byId ? byIdVersion : byNameVersion,
			apiName: "Fetch",
			encode: async () => {
				const buffer = byId ? encodeById(targets, limits) : encodeByName(targets, limits);
				return { buf: buffer, buffer };
			},
		},
		response: {
			decode: async (payload) => (byId ? decodeById(payload, targets) : decodeByName(payload, targets)),
			parse: async (decoded) => decoded,
		},
		// The broker may delay its answer by waitMsMax.
		requestTimeout: limits.waitMsMax + 10_000,
	};
}

function head(writer: ProtocolWriter, limits: FetchLimits): ProtocolWriter {
	writer.int32(noReplica).int32(limits.waitMsMax).int32(bytesMin).int32(limits.bytesMax).int8(readCommitted);
	return writer.int32(noSession.id).int32(noSession.epoch);
}

function encodeById(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
	// The end of the request header, which kafkajs writes without tagged fields.
	const writer = head(new ProtocolWriter().noTags(), limits);
	writer.list([...grouped(targets, ({ topicId }) => topicId!)], ([topicId, partitions]) => {
		writer.id(topicId);
		writer.list(partitions, ({ partition, leaderEpoch, offset, lastEpoch }) => {
			writer.int32(partition).int32(leaderEpoch).int64(offset);
			writer.int32(lastEpoch).int64(noLogStart).int32(limits.partitionBytesMax).noTags();
		});
		writer.noTags();
	});
	// No forgotten topics, no rack.
	writer.list([], () => {}).text("");
	return writer.noTags().bytes();
}

function decodeById(payload: Buffer, targets: readonly FetchTarget[]): readonly FetchedPartition[] {
	const names = new Map(targets.map(({ topic, topicId }) => [topicId, topic]));
	const reader = new ProtocolReader(payload);
	reader.tags(); // of the header
	reader.int32(); // throttle time: the broker delays by itself
	const refused = reader.int16();
	if (refused !== 0) throw new FetchFailed(refused);
	reader.int32(); // session id
	const fetched: FetchedPartition[] = [];
	reader.list(() => {
		const topicId = reader.id();
		reader.list(() => {
			const partition = reader.int32();
			const errorCode = reader.int16();
			reader.int64(); // high watermark
			const logEnd = reader.int64();
			const logStart = reader.int64();
			const aborted = reader.list((): AbortedTransaction => {
				const transaction = { producerId: reader.bigInt64(), firstOffset: reader.int64() };
				reader.tags();
				return transaction;
			});
			reader.int32(); // preferred read replica
			const records = reader.blob();
			let divergence: Divergence | null = null;
			reader.tags((tag) => {
				if (tag !== divergingEpochTag) return;
				const epoch = reader.int32();
				const endOffset = reader.int64();
				reader.tags();
				// Brokers that send the field without a divergence set both to -1.
				if (epoch >= 0 || endOffset >= 0) divergence = { epoch, endOffset };
			});
			fetched.push({ topic: names.get(topicId) ?? "", topicId, partition, errorCode, logEnd, logStart, aborted, divergence, records });
		});
		reader.tags();
	});
	return fetched;
}

function encodeByName(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
	const writer = head(new ProtocolWriter(), limits);
	writer.fixedList([...grouped(targets, ({ topic }) => topic)], ([topic, partitions]) => {
		writer.fixedText(topic);
		writer.fixedList(partitions, ({ partition, leaderEpoch, offset }) => {
			writer.int32(partition).int32(leaderEpoch).int64(offset).int64(noLogStart).int32(limits.partitionBytesMax);
		});
	});
	// No forgotten topics, no rack.
	return writer
		.fixedList([], () => {})
		.fixedText("")
		.bytes();
}

function decodeByName(payload: Buffer, targets: readonly FetchTarget[]): readonly FetchedPartition[] {
	const ids = new Map(targets.map(({ topic, topicId }) => [topic, topicId]));
	const reader = new ProtocolReader(payload);
	reader.int32(); // throttle time: the broker delays by itself
	const refused = reader.int16();
	if (refused !== 0) throw new FetchFailed(refused);
	reader.int32(); // session id
	const fetched: FetchedPartition[] = [];
	reader.fixedList(() => {
		const topic = reader.fixedText() ?? "";
		const topicId = ids.get(topic) ?? null;
		reader.fixedList(() => {
			const partition = reader.int32();
			const errorCode = reader.int16();
			reader.int64(); // high watermark
			const logEnd = reader.int64();
			const logStart = reader.int64();
			const aborted = reader.fixedList((): AbortedTransaction => ({ producerId: reader.bigInt64(), firstOffset: reader.int64() }));
			reader.int32(); // preferred read replica
			const records = reader.fixedBlob();
			fetched.push({ topic, topicId, partition, errorCode, logEnd, logStart, aborted, divergence: null, records });
		});
	});
	return fetched;
}
