export type ProducedHeader = readonly [name: string, value: string | Uint8Array];

/** A record to write to a topic. Records with the same key go to one partition, in order. Do not change its bytes before it is settled. */
export interface ProducerRecord {
	readonly key: Uint8Array | string | null;
	readonly value: Uint8Array | null;
	/** In order. A list, since a name may occur more than once, and may be any text, such as `__proto__`. */
	readonly headers: readonly ProducedHeader[];
	/** Milliseconds since 1970; defaults to the time of sending. */
	readonly timestampMs?: number;
	/** By `monotonicMs`. Writing does not start after this time. */
	readonly expiresAtMs?: number;
}

/** Bytes of a batch before its records: see RecordBatchLayout. */
export const batchHeadBytes = 61;
/** Upper bound on the lengths, deltas and counts of a record, which are varints. */
const recordHeadBytesMax = 32;
const headerHeadBytesMax = 10;

/** Upper bound on the bytes of a record in a batch. */
export function producedBytes(record: ProducerRecord): number {
	return contentBytes(record) + recordHeadBytesMax + record.headers.length * headerHeadBytesMax;
}

/** Bytes of key, value and headers: a lower bound on its size in a batch. */
export function contentBytes({ key, value, headers }: ProducerRecord): number {
	let bytes = lengthOf(key) + lengthOf(value);
	for (const [name, header] of headers) bytes += Buffer.byteLength(name) + lengthOf(header);
	return bytes;
}

function lengthOf(content: Uint8Array | string | null): number {
	if (content === null) return 0;
	return typeof content === "string" ? Buffer.byteLength(content) : content.length;
}
