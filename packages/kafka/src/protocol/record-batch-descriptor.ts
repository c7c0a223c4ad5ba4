/**
 * A Kafka record batch, format 2 (the only one that brokers since 0.11 write), big-endian:
 *
 * ```
 *  0 base offset i64 | 8 bytes that follow i32 | 12 leader epoch i32 | 16 magic i8 = 2 | 17 crc-32c u32
 * 21 attributes i16 | 23 last offset delta i32 | 27 base timestamp i64 | 35 max timestamp i64
 * 43 producer id i64 | 51 producer epoch i16 | 53 base sequence i32 | 57 records i32 | 61 records, maybe compressed
 *
 * record: length varint | attributes i8 | timestamp delta varlong | offset delta varint
 *         | key length varint (-1 = null) | key | value length varint (-1 = null) | value | headers varint
 *         | each header: name length varint | name | value length varint (-1 = null) | value
 * ```
 */
export const RecordBatchLayout = {
	baseOffset: 0,
	lengthOffset: 8,
	/** Bytes of base offset and length. The length does not include them. */
	logOverheadBytes: 12,
	leaderEpochOffset: 12,
	magicOffset: 16,
	attributesOffset: 21,
	lastOffsetDeltaOffset: 23,
	baseTimestampOffset: 27,
	maxTimestampOffset: 35,
	producerIdOffset: 43,
	recordCountOffset: 57,
	headerBytes: 61,
	magic: 2,
} as const;

/** Bits of `attributes`. */
export const BatchAttribute = { codecMask: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const;

/** Type of a control record, the second i16 of its key. */
export const ControlType = { abort: 0, commit: 1 } as const;
