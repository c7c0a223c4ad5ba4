import type { FetchedPartition } from "../protocol/fetch-protocol.ts";
import { type AbortedTransaction, lastBatchOf } from "../protocol/record-reader.ts";

/** A part of a partition's log that a node has read from Kafka and passes on to the others. */
export interface RelayMessage {
	/** Epoch of the broker that led the partition and answered. */
	readonly leaderEpoch: number;
	/** The records are all that the log has from here … */
	readonly from: number;
	/** … up to here, exclusive. */
	readonly next: number;
	/** Offset of the end of the log. */
	readonly logEnd: number;
	readonly aborted: readonly AbortedTransaction[];
	/** Complete record batches, as the broker sent them. */
	readonly records: Buffer;
}

/**
 * Little-endian, with room for other fields behind the version:
 * ```
 * 0 version u8 | 4 leader epoch i32 | 8 from f64 | 16 next f64 | 24 log end f64 | 32 aborted transactions u32
 * 36 for each: producer id i64, first offset f64 | record batches
 * ```
 */
const Layout = { version: 1, leaderEpoch: 4, from: 8, next: 16, logEnd: 24, aborted: 32, headBytes: 36, abortedBytes: 16 } as const;

/** Null when there is nothing to pass on: the answer's first batch is not complete. Copies the records. */
export function writeRelayMessage(leaderEpoch: number, from: number, part: FetchedPartition): Buffer | null {
	const last = lastBatchOf(part.records);
	if (last === null && part.records.length > 0) return null;
	const { aborted, logEnd } = part;
	const head = Layout.headBytes + aborted.length * Layout.abortedBytes;
	const bytes = Buffer.alloc(head + (last?.end ?? 0));
	bytes[0] = Layout.version;
	bytes.writeInt32LE(leaderEpoch, Layout.leaderEpoch);
	bytes.writeDoubleLE(from, Layout.from);
	bytes.writeDoubleLE(last?.nextOffset ?? from, Layout.next);
	bytes.writeDoubleLE(logEnd, Layout.logEnd);
	bytes.writeUInt32LE(aborted.length, Layout.aborted);
	aborted.forEach(({ producerId, firstOffset }, index) => {
		const at = Layout.headBytes + index * Layout.abortedBytes;
		bytes.writeBigInt64LE(producerId, at);
		bytes.writeDoubleLE(firstOffset, at + 8);
	});
	if (last !== null) part.records.copy(bytes, head, 0, last.end);
	return bytes;
}

/** Null for a message of another program or a newer version. The records are a view of `bytes`. */
export function readRelayMessage(bytes: Buffer): RelayMessage | null {
	if (bytes.length < Layout.headBytes || bytes[0] !== Layout.version) return null;
	const count = bytes.readUInt32LE(Layout.aborted);
	const head = Layout.headBytes + count * Layout.abortedBytes;
	if (head > bytes.length) return null;
	const [from, next, logEnd] = [bytes.readDoubleLE(Layout.from), bytes.readDoubleLE(Layout.next), bytes.readDoubleLE(Layout.logEnd)];
	const records = bytes.subarray(head);
	const last = lastBatchOf(records);
	const isWhole = (last?.end ?? 0) === records.length && (last?.nextOffset ?? from) === next;
	if (!Number.isSafeInteger(from) || !Number.isSafeInteger(next) || from < 0 || next < from || !isWhole) return null;
	const aborted = Array.from({ length: count }, (_, index): AbortedTransaction => {
		const at = Layout.headBytes + index * Layout.abortedBytes;
		return { producerId: bytes.readBigInt64LE(at), firstOffset: bytes.readDoubleLE(at + 8) };
	});
	return { leaderEpoch: bytes.readInt32LE(Layout.leaderEpoch), from, next, logEnd, aborted, records };
}
