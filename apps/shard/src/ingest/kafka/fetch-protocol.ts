import { FlexibleReader, FlexibleWriter } from "./flexible-bytes.ts";
import { grouped } from "./grouped.ts";
import { type AbortedTransaction, readI64 } from "./record-reader.ts";

/** One partition of a fetch request. */
export interface FetchTarget {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	readonly offset: number;
}

/** One partition of the answer; `records` are its batches as they came. */
export interface FetchedPartition {
	readonly topic: string;
	readonly topicId: string | null;
	readonly partition: number;
	readonly errorCode: number;
	/** Offset behind the last record that a consumer may see, in either isolation. */
	readonly logEnd: number;
	readonly logStart: number;
	readonly aborted: readonly AbortedTransaction[];
	readonly records: Buffer;
}

export interface FetchLimits {
	readonly waitMsMax: number;
	readonly bytesMax: number;
	readonly partitionBytesMax: number;
}

const apiKey = 1;
/** By name: brokers from 2.3 to 4.x take it, and it is the newest whose encoding is not the flexible one. */
const byNameVersion = 11;
/** By topic id: brokers from 3.1 on. A topic that was made anew under the same name is another one to it. */
const byIdVersion = 13;
const readCommitted = 1;
const noReplica = -1;
/** Answer as soon as there is anything. */
const bytesMin = 1;
const noSession = { id: 0, epoch: -1 } as const;
const unknownEpoch = -1;

/** A request as kafkajs' connection takes it. */
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

/** Whether a broker that answered ApiVersions so can be asked by topic id. */
export function fetchesById(versions: Readonly<Record<number, { readonly maxVersion: number }>> | null): boolean {
	return (versions?.[apiKey]?.maxVersion ?? 0) >= byIdVersion;
}

/**
 * A fetch whose answer keeps the record batches as bytes. kafkajs brings connection, TLS, SASL and framing; its own fetch would
 * turn every record into objects, which is most of what consuming costs.
 * @param mayUseIds whether this broker can be asked by topic id; it is, when the ids of all targets are known.
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
		// The broker may hold the answer back for as long as waitMsMax.
		requestTimeout: limits.waitMsMax + 10_000,
	};
}

function encodeById(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
	// The end of the request's header, which kafkajs writes without tagged fields.
	const writer = new FlexibleWriter().noTags();
	writer.int32(noReplica).int32(limits.waitMsMax).int32(bytesMin).int32(limits.bytesMax).int8(readCommitted);
	writer.int32(noSession.id).int32(noSession.epoch);
	writer.list([...grouped(targets, ({ topicId }) => topicId!)], ([topicId, partitions]) => {
		writer.id(topicId);
		writer.list(partitions, ({ partition, offset }) => {
			writer.int32(partition).int32(unknownEpoch).int64(offset);
			// Last fetched epoch and start of the log are for followers.
			writer.int32(unknownEpoch).int64(-1).int32(limits.partitionBytesMax).noTags();
		});
		writer.noTags();
	});
	// No forgotten topics, no rack.
	writer.list([], () => {}).text("");
	return writer.noTags().bytes();
}

function decodeById(payload: Buffer, targets: readonly FetchTarget[]): readonly FetchedPartition[] {
	const names = new Map(targets.map(({ topic, topicId }) => [topicId, topic]));
	const reader = new FlexibleReader(payload);
	reader.skipTags(); // of the header
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
				reader.skipTags();
				return transaction;
			});
			reader.int32(); // preferred read replica
			const records = reader.blob();
			reader.skipTags();
			fetched.push({ topic: names.get(topicId) ?? "", topicId, partition, errorCode, logEnd, logStart, aborted, records });
		});
		reader.skipTags();
	});
	return fetched;
}

function encodeByName(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
	const byTopic = grouped(targets, ({ topic }) => topic);
	const head = Buffer.alloc(29);
	head.writeInt32BE(noReplica, 0);
	head.writeInt32BE(limits.waitMsMax, 4);
	head.writeInt32BE(bytesMin, 8);
	head.writeInt32BE(limits.bytesMax, 12);
	head.writeInt8(readCommitted, 16);
	head.writeInt32BE(noSession.id, 17);
	head.writeInt32BE(noSession.epoch, 21);
	head.writeInt32BE(byTopic.size, 25);
	const parts: Buffer[] = [head];
	for (const [topic, partitions] of byTopic) {
		const name = Buffer.from(topic);
		const part = Buffer.alloc(2 + name.length + 4 + partitions.length * 28);
		part.writeInt16BE(name.length, 0);
		name.copy(part, 2);
		let at = 2 + name.length;
		part.writeInt32BE(partitions.length, at);
		at += 4;
		for (const { partition, offset } of partitions) {
			part.writeInt32BE(partition, at);
			part.writeInt32BE(unknownEpoch, at + 4);
			part.writeBigInt64BE(BigInt(offset), at + 8);
			part.writeBigInt64BE(-1n, at + 16); // log start: for followers
			part.writeInt32BE(limits.partitionBytesMax, at + 24);
			at += 28;
		}
		parts.push(part);
	}
	parts.push(Buffer.alloc(6)); // no forgotten topics, no rack
	return Buffer.concat(parts);
}

function decodeByName(payload: Buffer, targets: readonly FetchTarget[]): readonly FetchedPartition[] {
	const ids = new Map(targets.map(({ topic, topicId }) => [topic, topicId]));
	let at = 4; // throttle time: the broker delays by itself
	const errorCode = payload.readInt16BE(at);
	if (errorCode !== 0) throw new FetchFailed(errorCode);
	at += 6; // error, session id
	const fetched: FetchedPartition[] = [];
	const topics = payload.readInt32BE(at);
	at += 4;
	for (let topicIndex = 0; topicIndex < topics; topicIndex++) {
		const nameBytes = payload.readInt16BE(at);
		const topic = payload.toString("utf8", at + 2, at + 2 + nameBytes);
		at += 2 + nameBytes;
		const partitions = payload.readInt32BE(at);
		at += 4;
		for (let index = 0; index < partitions; index++) {
			const partition = payload.readInt32BE(at);
			const partitionError = payload.readInt16BE(at + 4);
			const lastStable = readI64(payload, at + 14);
			const logStart = readI64(payload, at + 22);
			at += 30;
			const abortedCount = payload.readInt32BE(at);
			at += 4;
			const aborted: AbortedTransaction[] = [];
			for (let each = 0; each < abortedCount; each++) {
				aborted.push({ producerId: payload.readBigInt64BE(at), firstOffset: readI64(payload, at + 8) });
				at += 16;
			}
			at += 4; // preferred read replica
			const recordBytes = Math.max(payload.readInt32BE(at), 0);
			at += 4;
			fetched.push({
				topic,
				topicId: ids.get(topic) ?? null,
				partition,
				errorCode: partitionError,
				logEnd: lastStable,
				logStart,
				aborted,
				records: payload.subarray(at, at + recordBytes),
			});
			at += recordBytes;
		}
	}
	return fetched;
}
