/** What is written to a topic. Records of one key go to one partition, in order. Its bytes stay as they are until it is settled. */
export interface ProducerRecord {
	readonly key: Uint8Array | string | null;
	readonly value: Uint8Array | null;
	readonly headers: Readonly<Record<string, string | Uint8Array>>;
	/** By `monotonicMs`: what has not been begun to be written by then is not written any more. */
	readonly expiresAtMs?: number;
}

/** Of a batch, before its records: see RecordBatchLayout. */
export const batchHeadBytes = 61;
/** Lengths, deltas and counts of a record are varints: more than these they never take. */
const recordHeadBytesMax = 32;
const headerHeadBytesMax = 10;

/** Most bytes that a record can take in a batch. */
export function producedBytes(record: ProducerRecord): number {
	const headers = Object.keys(record.headers).length;
	return contentBytes(record) + recordHeadBytesMax + headers * headerHeadBytesMax;
}

/** Bytes of key, value and headers: less than it takes in any batch. */
export function contentBytes({ key, value, headers }: ProducerRecord): number {
	let bytes = lengthOf(key) + lengthOf(value);
	for (const name in headers) bytes += Buffer.byteLength(name) + lengthOf(headers[name]!);
	return bytes;
}

function lengthOf(content: Uint8Array | string | null): number {
	if (content === null) return 0;
	return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}
