/**
 * Layout of a record. The bus between processes, the ingest ring between threads and the events of a channel log use the same bytes.
 * Version 2.
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
 * Little-endian throughout. Only the header is aligned, so the rest is read through a DataView. Zero channels = everybody.
 *
 * `target` is 0 for all shards, or a shard's slot + 1: the others ignore the record.
 * `sender id` is the number of the connection within the publishing member; that connection does not get the message (0 = none). A message
 * that went through Kafka may be put on the bus by another member than its sender's. Then `sender's shard` says whose number it is
 * (`incarnationId`); otherwise it is 0.
 * `published` is CLOCK_MONOTONIC in milliseconds (`monotonicMs`), the same in every process of the machine, so that a reader can compute how
 * long the event has waited.
 *
 * **Compatibility**: an older reader ignores records of an unknown type, and skips an unknown extension by its length. Any other change of this
 * layout raises the major version of the scoreboard, which keeps such processes apart.
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
	/** Most channels per record. */
	channelsMax: 32,
	/** Most bytes for all extensions of a record. */
	extensionBytesMax: 65_535,
} as const;

/** Byte layout of one channel entry. */
export const ChannelEntry = { hashOffset: 0, lengthOffset: 4, nameOffset: 5 } as const;

/** Type of a record. */
export const RecordType = {
	/** A message to the clients of its channels. */
	publication: 1,
	/** A client has joined or left the channel; the payload describes the client. */
	join: 2,
	leave: 3,
	/** To the target shard: frames of its clients that arrived at another shard, by POST /emulation. */
	clientFrames: 4,
	/** Reserved for a reply to a shard. Nothing sends it: questions to all processes go through the supervisor. */
	reply: 5,
	/** To the shard that feeds a log: the sender needs these channels from other nodes. */
	follow: 6,
	/** To all shards: the logs have everything of these channels up to these positions, and will get what follows. */
	followed: 7,
	/** To all shards: these channels have a new epoch, so their subscribers must resubscribe. */
	restarted: 8,
	/** To all shards of all nodes: these channels with history have a new publication. An empty list asks publishers to announce their channels again. */
	noticed: 9,
	/** A message to the clients of one user, whose id takes the place of the channel, or to all clients, of all protocols. */
	direct: 10,
	/** A publication with high priority. */
	urgent: 11,
	/** A direct message with high priority. */
	urgentDirect: 12,
	/** From one process of a gateway to another: a step of a stream of bytes. No channels; the rest of the head has another meaning (`StreamRecord`). */
	gateway: 13,
} as const;
export type RecordType = (typeof RecordType)[keyof typeof RecordType];

/** Whether a record has high priority: it is delivered before waiting ones, and sent to other nodes at once. */
export function isUrgent(type: number): boolean {
	return type === RecordType.urgent || type === RecordType.urgentDirect;
}

/** Whether a record goes to connections instead of the clients of channels. */
export function isDirect(type: number): boolean {
	return type === RecordType.direct || type === RecordType.urgentDirect;
}

/** Kind of the payload. */
export const RecordKind = { text: 1, binary: 2 } as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

/** Byte layout and types of extensions. */
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
		/** The publisher, see `encodePublisherInfo`. */
		info: 4,
		/** Trace context of a publication that is traced: opaque here, see `encodeTraceContext`. */
		trace: 5,
		/** How long a record had been in Kafka when it was read: milliseconds, f64 LE. Only while slow messages are logged. */
		queued: 6,
	},
} as const;
