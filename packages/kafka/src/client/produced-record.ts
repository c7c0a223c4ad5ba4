export type ProducedHeader = readonly [name: string, value: string | Uint8Array];

/** What is written to a topic. Records of one key go to one partition, in order. Its bytes stay as they are until it is settled. */
export interface ProducerRecord {
	readonly key: Uint8Array | string | null;
	readonly value: Uint8Array | null;
	/** In order; a name may come more than once. A list, since a name is whatever somebody wrote: `__proto__` as well. */
	readonly headers: readonly ProducedHeader[];
	/** Milliseconds since 1970; left out = when it is sent. */
	readonly timestampMs?: number;
	/** By `monotonicMs`: what has not started to be written by then is no longer written. */
	readonly expiresAtMs?: number;
}

/** Of a batch, before its records: see RecordBatchLayout. */
export const batchHeadBytes = 61;
/** Lengths, deltas and counts of a record are varints: more than these they never take. */
const recordHeadBytesMax = 32;
const headerHeadBytesMax = 10;

/** Most bytes that a record can take in a batch. */
export function producedBytes(record: ProducerRecord): number {
	return contentBytes(record) + recordHeadBytesMax + record.headers.length * headerHeadBytesMax;
}

/** Bytes of key, value and headers: less than it takes in any batch. */
export function contentBytes({ key, value, headers }: ProducerRecord): number {
	let bytes = lengthOf(key) + lengthOf(value);
	for (const [name, header] of headers) bytes += Buffer.byteLength(name) + lengthOf(header);
	return bytes;
}

function lengthOf(content: Uint8Array | string | null): number {
	if (content === null) return 0;
	return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}
