import { type AbortedTransaction, readI64 } from "./record-reader.ts";

/** One partition of a fetch request. */
export interface FetchTarget {
	readonly topic: string;
	readonly partition: number;
	readonly offset: number;
}

/** One partition of the answer; `records` are its batches as they came. */
export interface FetchedPartition {
	readonly topic: string;
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

/** Fetch, version 11: brokers from 2.3 to 4.x take it, and it is the newest whose encoding is not the flexible one. */
const apiKey = 1;
const apiVersion = 11;
const readCommitted = 1;

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

/**
 * A fetch whose answer keeps the record batches as bytes. kafkajs brings connection, TLS, SASL and framing; its own fetch would
 * turn every record into objects, which is most of what consuming costs.
 */
export function fetchRequest(targets: readonly FetchTarget[], limits: FetchLimits): ProtocolRequest<readonly FetchedPartition[]> {
	return {
		request: {
			apiKey,
			apiVersion,
			apiName: "Fetch",
			encode: async () => {
				const buffer = encode(targets, limits);
				return { buf: buffer, buffer };
			},
		},
		response: { decode: async (payload) => decode(payload), parse: async (decoded) => decoded },
		// The broker may hold the answer back for as long as waitMsMax.
		requestTimeout: limits.waitMsMax + 10_000,
	};
}

function encode(targets: readonly FetchTarget[], limits: FetchLimits): Buffer {
	const byTopic = new Map<string, FetchTarget[]>();
	for (const target of targets) {
		const same = byTopic.get(target.topic);
		if (same === undefined) byTopic.set(target.topic, [target]);
		else same.push(target);
	}
	const head = Buffer.alloc(29);
	head.writeInt32BE(-1, 0); // replica id: a consumer
	head.writeInt32BE(limits.waitMsMax, 4);
	head.writeInt32BE(1, 8); // least bytes: answer as soon as there is anything
	head.writeInt32BE(limits.bytesMax, 12);
	head.writeInt8(readCommitted, 16);
	head.writeInt32BE(0, 17); // session id
	head.writeInt32BE(-1, 21); // session epoch: none
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
			part.writeInt32BE(-1, at + 4); // leader epoch: not known
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

function decode(payload: Buffer): readonly FetchedPartition[] {
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
