import type { NodeId } from "../node-id.ts";

/**
 * A batch of records, with the bytes that they have on the bus of the sending node. Little-endian:
 * ```
 * 0 version u8 | 1 0 | 2 sender's slot u16 | 4 node i32 × 2 | 12 number of the batch u32 | 16 records, each: length u32, bytes
 * ```
 */
const Layout = { version: 1, headBytes: 16, lengthBytes: 4 } as const;

interface BatchHead {
	readonly node: NodeId;
	readonly slot: number;
	/** Counts up for each sender, from 1. */
	readonly number: number;
}

/** Bytes of a record in a batch. */
export const batchedBytes = (recordBytes: number) => Layout.lengthBytes + recordBytes;

/** Bytes of a batch whose records, with their lengths, have so many bytes; and of one with a single record of that length at most. */
export const batchOfBytes = (bytes: number) => Layout.headBytes + batchedBytes(bytes);

export function writeBatch({ node, slot, number }: BatchHead, records: readonly Uint8Array[]): Buffer {
	const bytes = Buffer.allocUnsafe(Layout.headBytes + records.reduce((sum, { length }) => sum + batchedBytes(length), 0));
	bytes[0] = Layout.version;
	bytes[1] = 0;
	bytes.writeUInt16LE(slot, 2);
	bytes.writeInt32LE(node.id0, 4);
	bytes.writeInt32LE(node.id1, 8);
	bytes.writeUInt32LE(number >>> 0, 12);
	let at: number = Layout.headBytes;
	for (const record of records) {
		bytes.writeUInt32LE(record.length, at);
		bytes.set(record, at + Layout.lengthBytes);
		at += batchedBytes(record.length);
	}
	return bytes;
}

/** Null = written by another program or a newer version of this one. */
export function readBatchHead(bytes: Buffer): BatchHead | null {
	if (bytes.length < Layout.headBytes || bytes[0] !== Layout.version) return null;
	return {
		node: { id0: bytes.readInt32LE(4), id1: bytes.readInt32LE(8) },
		slot: bytes.readUInt16LE(2),
		number: bytes.readUInt32LE(12),
	};
}

/** The records of a batch, as views of it. Ends at a length that does not fit. */
export function* recordsIn(bytes: Buffer): Generator<Buffer> {
	for (let at: number = Layout.headBytes; at + Layout.lengthBytes <= bytes.length; ) {
		const length = bytes.readUInt32LE(at);
		at += Layout.lengthBytes;
		if (length > bytes.length - at) return;
		yield bytes.subarray(at, at + length);
		at += length;
	}
}
