/**
 * A record as it lies in a ring: the bus between processes, the ingest ring between threads and the events of a channel log carry the same
 * bytes. Version 2.
 *
 * ```
 *  0        1        2        3        4                6                8                12               16
 *  +--------+--------+--------+--------+----------------+----------------+----------------+----------------+
 *  | type   | kind   | target |channels| channel bytes  | extension bytes| sender id      | sender's shard |
 *  | u8     | u8     | u8     | u8     | u16 LE         | u16 LE         | u32 LE         | u32 LE         |
 *  +--------+--------+--------+--------+----------------+----------------+----------------+----------------+
 *  16: published, f64 LE
 *  24: channel entries, each  hash u32 LE | length u8 | name, UTF-8        (back to back, `channel bytes` in all)
 *      extensions, each       type u8 | length u16 LE | value              (back to back, `extension bytes` in all)
 *      payload, up to the end of the record
 * ```
 * Little-endian throughout; all but the header is unaligned, so it is read through a DataView. Zero channels = to everybody.
 *
 * `target` is 0 for every shard, or a shard's slot + 1: all others pass the record over.
 * `sender id` is the connection's number within the publishing member (0 = nobody to leave out). A message that went through
 * Kafka is put on the bus by another member than its sender's: `sender's shard` then says whose number it is (`shardLife`), and is
 * 0 otherwise. In a question and its reply they are the question's number, and the shard that asks: a reply never reaches its successor.
 * `published` is CLOCK_MONOTONIC in milliseconds (`monotonicMs`), the same in every process of the machine, so a reader can tell how long
 * the event has waited.
 *
 * **What an older reader does with a newer record**: a type that it does not know it passes over, an extension that it does not know it skips
 * by its length. Any other change of this layout raises the major version of the scoreboard, which keeps such processes apart.
 */
export const BusRecord = {
	typeOffset: 0,
	kindOffset: 1,
	targetOffset: 2,
	channelCountOffset: 3,
	channelBytesOffset: 4,
	extensionBytesOffset: 6,
	senderOffset: 8,
	senderShardOffset: 12,
	publishedOffset: 16,
	headerBytes: 24,
	/** Longest channel name in UTF-8 bytes. */
	channelNameBytesMax: 255,
	/** Most channels of one event. */
	channelsMax: 32,
	/** All extensions of a record together. */
	extensionBytesMax: 65_535,
} as const;

/** Byte layout of one channel entry. */
export const ChannelEntry = { hashOffset: 0, lengthOffset: 4, nameOffset: 5 } as const;

/** What a record is about. */
export const RecordType = {
	/** A message to the clients of its channels. */
	publication: 1,
	/** Somebody has come into its channel, or left it; the payload says who. */
	join: 2,
	leave: 3,
	/** Asked of the target, or of every shard; the payload is the question. */
	question: 4,
	/** To the shard that asked. */
	reply: 5,
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** What the payload is. */
export const RecordKind = { text: 1, binary: 2 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Byte layout of one extension, and the types that there are. */
export const Extension = {
	typeOffset: 0,
	lengthOffset: 1,
	valueOffset: 3,
	types: {
		/** Offset in the channel's history: f64 LE, a whole number from 0. */
		offset: 1,
		/** Epoch of that offset: UTF-8. */
		epoch: 2,
		/** Tags of a publication: a JSON object of strings. */
		tags: 3,
		/** Who published it, in the encoding of the server. */
		info: 4,
	},
} as const;
