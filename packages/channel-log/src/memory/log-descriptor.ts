import { LogSize } from "@shardcast/wire";

/**
 * Layout of a sequenced log. Offsets are in bytes from its start, in the machine's byte order.
 *
 * ```
 *                                                                                               written by
 *       0  about     magic | version | header bytes | rows | entries | data bytes | cluster's secret | cluster's epoch   once, at creation
 *     128  lock      0, or slot and incarnation of the holder; number of acquisitions
 *     256  holder's  appliedTail f64 | tailIntent f64                                           the holder of the lock
 *     384  tail      tail f64: everything before it is committed                                the holder of the lock
 *     512  reserved  bytes of the data that the file system has reserved                        any process, upwards only
 *     520  feeder    0, or slot and incarnation of the shard that copies publications of other machines   that shard; the supervisor after its death
 *     640  counters  i32, see LogCounter                                                        any process, atomically
 *     768  reader 0  cursor f64 | state i32                                                     reader 0, once per batch
 *     896  reader 1  …                                                                          64 readers
 *    8960  rows      the channel table: buckets of 16 rows of 128 bytes, two for each channel     the holder; `touched` by any process
 *          entries   idempotency keys: buckets of 16 entries of 32 bytes, two for each key       the holder
 *          feeds     Kafka partitions and their last appended record: 32 bytes each               the holder
 *          data      records
 * ```
 * Positions count bytes from the first record ever, in f64: they never wrap. A position is at offset `position mod data bytes` of the data.
 * The bytes between `tail` and `tailIntent` are being written, so a record at `p` is intact while `tailIntent - p ≤ data bytes`.
 *
 * The order of stores of a publication, and the effect of a death after each of them:
 * ```
 * lock                       nothing is published; the supervisor clears the lock after it has reaped the holder
 * tailIntent, the record     the same: the next holder overwrites it. tailIntent never decreases, since the bytes up to it may be damaged
 * tail                       the record is published
 * row, entry, feed           the next holder of the lock repeats these from the record, since appliedTail ≠ tail
 * appliedTail, unlock        done
 * ```
 */
export const LogLayout = {
	...LogSize,
	magic: 0x53434c31, // "SCL1"
	versionMajor: 2,
	versionMinor: 1,
	readersMax: 64,

	lockOffset: 128,
	appliedOffset: 256,
	intentOffset: 264,
	tailOffset: 384,
	reservedOffset: 512,
	feederOffset: 520,
	countersOffset: 640,
	readersOffset: 768,
	/** Relative to a reader's line. */
	cursorOffset: 0,
	stateOffset: 8,
	rowsOffset: LogSize.headerBytes,

	unitBytes: 8,
	/** Bytes of data reserved at a time. */
	reserveBytes: 262_144,
} as const;

/** i32 words from the start. `channelEpoch` is the first half of the epochs of all channels of this cluster. */
export const HeaderWord = {
	magic: 0,
	versionMajor: 1,
	versionMinor: 2,
	headerBytes: 3,
	rows: 4,
	entries: 5,
	dataBytes: 6,
	channelEpoch: 7,
	secret: 8,
	secretWords: 4,
	feeds: 12,
} as const;

/** i32 words from `lockOffset`. `holds` counts acquisitions: while both words stay the same, it is the same hold. */
export const LockWord = { holder: 0, holds: 1 } as const;

export const ReaderState = { free: 0, live: 1 } as const;

/** i32 words from `countersOffset`. They wrap at 2^32. */
export const LogCounter = {
	/** Duplicates recognised by their idempotency key. */
	duplicates: 0,
	/** Refusals by `FullReason`, after which the caller tries again. */
	fullLocked: 1,
	fullReaders: 2,
	fullMemory: 3,
	fullKeys: 4,
	/** Reads of history that missed publications which were dropped for lack of memory, within their size and time to live. */
	evictedReads: 5,
	/** Channels whose row was reused for another one before it expired. */
	evictedChannels: 6,
	/** Publications committed by a process that died, and finished by another. */
	finished: 7,
	/** Kafka partitions whose entry was reused for another one for lack of room. */
	feedsReplaced: 8,
	/** Publications appended, from all sources. */
	published: 9,
} as const;
export type LogCounter = keyof typeof LogCounter;

/** i32 words of a row. `serial` belongs to the bucket and is in its first row: how often a row of the bucket has started a new epoch. `sequence` is odd while the row is written. */
export const RowWord = {
	sequence: 0,
	used: 1,
	epoch0: 2,
	epoch1: 3,
	key: 4,
	size: 8,
	ttlMs: 9,
	metaTtlMs: 10,
	serial: 11,
	/** The feed whose offsets the channel has (all 0 = the channel counts by itself), and the feed before it, of a topic that had the same name. */
	feedName: 27,
	feed0: 28,
	feed1: 29,
	before0: 30,
	before1: 31,
} as const;
/** f64 words of a row. `first` is the lowest offset that was neither removed nor has expired, `removed` the highest removed one, `born` that of
 * the first publication of this epoch. */
export const RowFloat = { last: 6, lastPosition: 7, first: 8, publishedMs: 9, touchedMs: 10, removed: 11, born: 12 } as const;

/** i32 words of an idempotency entry; then its f64 words. An expired entry is free. */
export const EntryWord = { hash0: 0, hash1: 1, epoch0: 2, epoch1: 3 } as const;
export const EntryFloat = { offset: 2, expiresMs: 3 } as const;

/** i32 words of a feed; then its f64 words. The sequence is -1 if the entry is free or being changed. */
export const FeedWord = { feed0: 0, feed1: 1, leaderEpoch: 2 } as const;
export const FeedFloat = { sequence: 2, usedMs: 3 } as const;

/**
 * A record. It starts at a multiple of 8 and never crosses the end of the data. i32 words, then f64 words, from its start.
 *
 * ```
 * 0           112                       112 + event bytes
 * +-----------+-------------------------+--------------+-------------+---------------+
 * | head      | event, as on the bus    | info         | tags, JSON  | up to 7 bytes |
 * +-----------+-------------------------+--------------+-------------+---------------+
 * ```
 * A record from Kafka has its feed after them, at the next multiple of 8: FedWord. `bytes` is the length without the final padding, or -1 if no
 * record follows before the end of the data. `position` is the record's position, so that bytes of another lap are not taken for a record.
 * `previous` and `previousPosition` belong to the previous publication in the channel. The head has everything that is needed to finish the
 * work of a dead holder.
 */
export const RecordWord = {
	bytes: 0,
	row: 1,
	key: 12,
	epoch0: 16,
	epoch1: 17,
	size: 18,
	ttlMs: 19,
	metaTtlMs: 20,
	flags: 21,
	hash0: 22,
	hash1: 23,
	keyTtlMs: 24,
	eventBytes: 25,
	infoBytes: 26,
	tagsBytes: 27,
} as const;
export const RecordFloat = { position: 1, offset: 2, previous: 3, previousPosition: 4, timeMs: 5 } as const;
export const LogRecord = { headBytes: 112, padding: -1, noPosition: -1 } as const;
/**
 * `renews`: the earlier history had expired when it was published. `fed`: it is from Kafka or, with `stored`, from the durable store.
 * `kafkaOffset`: its offset is that of Kafka or the store. `hidden`: not a publication, only sets the position; history ends there.
 * Its payload is the channel's name if publications before it are lost, otherwise empty.
 */
export const RecordFlag = { delta: 1, renews: 2, fed: 4, kafkaOffset: 8, stored: 16, hidden: 32 } as const;
/** i32 words from the start of a record's feed, then its f64 word. `entry` is the place of the feed in this log. */
export const FedWord = { feed0: 0, feed1: 1, feedName: 2, entry: 3, leaderEpoch: 4 } as const;
export const FedFloat = { sequence: 3 } as const;
export const fedBytes = 32;

const relations: readonly [boolean, string][] = [
	[LogLayout.rowsOffset === LogLayout.readersOffset + LogLayout.readersMax * LogLayout.lineBytes, "rows come after the readers"],
	[LogRecord.headBytes % LogLayout.unitBytes === 0, "the event must start at a multiple of 8"],
	[(RecordWord.tagsBytes + 1) * 4 === LogRecord.headBytes, "the head ends with its last word"],
	[RowFloat.last * 8 >= (RowWord.serial + 1) * 4, "a row's parts must not overlap"],
	[(RowWord.before1 + 1) * 4 <= LogLayout.rowBytes, "a row must hold its words"],
	[(RowFloat.born + 1) * 8 <= RowWord.feedName * 4, "a row's floats must not reach into its feed"],
	[(HeaderWord.feeds + 1) * 4 <= LogLayout.lineBytes, "the first line must hold its words"],
	[LogLayout.logBytesMax < 2 ** 31, "byte offsets must fit into 31 bits"],
];
for (const [holds, otherwise] of relations) if (!holds) throw new Error(`LogLayout: ${otherwise}`);
