/**
 * Layout of a ring. Offsets are in bytes from the start of the ring, in the machine's byte order.
 *
 * ```
 *      0  header       magic | version | capacityBytes | readersMax | readers at | data at   written once, by createRing
 *    128  tail         tail                                                             the writer, once per record
 *    256  counters     backpressured f64                                                the writer, when it finds the ring full
 *    384  reader 0     head | state                                                     reader 0, once per batch
 *    512  reader 1     …
 *  384 + 128 × readersMax
 *         data         capacityBytes, a power of two
 *
 * A record starts on a multiple of 8 and never crosses the end of the data:
 *      0          4          8                       8 + length       next multiple of 8
 *      +----------+----------+-----------------------+---------------+
 *      | length   | stamp    | payload               | up to 7 bytes |
 *      | i32      | i32      | length bytes          | not used      |
 *      +----------+----------+-----------------------+---------------+
 * length ≥ 0   a record; stamp is its position, so bytes of an older lap are never taken for a record
 * length = -1  padding: the rest of the data is skipped
 * ```
 * Positions (tail, heads, stamps) count units of 8 bytes in i32 words. They wrap from 2^31 to -2^31; only the difference of two
 * positions, modulo 2^32, has a meaning. Lines are 128 bytes apart because hardware prefetches cache lines in pairs, and a line with
 * two writers would move between their cores at every record.
 *
 * Within a major version readers and data may move, since programs take their offsets from the header. Nothing else changes.
 */
export const RingLayout = {
	magic: 0x53435231, // "SCR1"
	version: { major: 2, minor: 0 },
	lineBytes: 128,

	magicOffset: 0,
	versionOffset: 4,
	capacityOffset: 8,
	readersMaxOffset: 12,
	readersOffsetOffset: 16,
	dataOffsetOffset: 20,

	tailOffset: 128,

	backpressuredOffset: 256,

	readersOffset: 384,
	/** Relative to a reader's line. */
	headOffset: 0,
	stateOffset: 4,

	unitBytes: 8,
	unitShift: 3,
	recordHeaderBytes: 8,
	/** Relative to a record. */
	lengthOffset: 0,
	stampOffset: 4,
	paddingLength: -1,

	/** The largest record is 1/8 of the capacity, so that padding plus record always fit into an empty ring. */
	recordsPerCapacityMin: 8,
	capacityBytesMin: 64,
	capacityBytesMax: 2 ** 30,
	readersMaxMax: 256,
	dataOffsetMax: 2 ** 20,
} as const;

/** `free` readers do not count; the writer never overwrites what a `live` one has not read. */
export const ReaderState = { free: 0, live: 1 } as const;
export type ReaderState = (typeof ReaderState)[keyof typeof ReaderState];

/** Byte offset of a reader's line. */
export function readerLineOffset(ring: { readonly readersOffset: number }, slot: number): number {
	return ring.readersOffset + slot * RingLayout.lineBytes;
}

/** Byte offset of the data in this program's layout. */
export function dataOffset(readersMax: number): number {
	return RingLayout.readersOffset + readersMax * RingLayout.lineBytes;
}

// Relations between the constants that writer and reader depend on, checked once at load.
const largestRecordUnits = (capacityBytes: number) =>
	Math.ceil((capacityBytes / RingLayout.recordsPerCapacityMin + RingLayout.recordHeaderBytes) / RingLayout.unitBytes);
const relations: readonly [boolean, string][] = [
	[1 << RingLayout.unitShift === RingLayout.unitBytes, "unitShift does not belong to unitBytes"],
	[RingLayout.recordHeaderBytes === RingLayout.unitBytes, "a padding header must fit into the last unit of the data"],
	[
		2 * largestRecordUnits(RingLayout.capacityBytesMin) - 1 <= RingLayout.capacityBytesMin / RingLayout.unitBytes,
		"the largest record plus the padding before it must fit into the smallest ring",
	],
	[RingLayout.capacityBytesMax / RingLayout.unitBytes < 2 ** 31, "a lap must be shorter than half the position space"],
	[dataOffset(RingLayout.readersMaxMax) <= RingLayout.dataOffsetMax, "no ring could have that many readers"],
	[RingLayout.dataOffsetMax + RingLayout.capacityBytesMax < 2 ** 31, "byte offsets must fit into 31 bits"],
];
for (const [holds, otherwise] of relations) if (!holds) throw new Error(`RingLayout: ${otherwise}`);
