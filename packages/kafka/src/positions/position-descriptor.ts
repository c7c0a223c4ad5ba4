/**
 * The position table: how far each shard has delivered each partition, in memory that all shards share. It outlives each of
 * them. So a restarted shard continues where the other shards are, and a new owner of a partition continues after the last record
 * that the former owner put on the bus. A recreated topic has another id, and so separate rows.
 *
 * ```
 * 0            header: magic | version | rowsMax | scanned (the first list of topics is in the table) | claim | dead-letter writer
 *              looked (when a shard listed the topics) f64 at +24 | offsets and sizes, i32 at +32: see PositionGeometry
 * 128          slot 0's intent: sequence i32 | row i32 | ring tail before i32 | … | position f64 at +16
 * 256          slot 1's intent …                                                                  64 slots
 * 8320         row 0: state i32 | partition i32 | users i32 | owner i32 | topic bytes i32 | more users i32 | start f64 at +24
 *                     topic at +32 | topic id at +288 (zeros: unknown) | epoch i32 at +304 | epoch from f64 at +312
 *                     when a shard last used it, f64 at +496
 *                     when the start was set, f64 at +504 | delivered f64 × 64 at +512, one cell per slot
 * 9344         row 1 …
 * ```
 * These three hold a shard's identity (incarnation × 64 + slot + 1, so that a dead shard differs from its successor) or 0:
 * - `claim`: the shard that is changing rows. Only it writes states, names and starts (`PositionRows`).
 * - `owner`: the shard that reads the partition in shared mode.
 * - `dead-letter writer`: the shard that writes dead letters in per-shard mode.
 *
 * `epoch` is that of the leader that wrote the record before `epoch from` and those after it. `users` has a bit for each slot whose
 * shard uses the row; only a row without users may be reused for another partition.
 *
 * Within a major version rows and intents may grow and move; nothing else changes.
 */
export const PositionLayout = {
	magic: 0x53435031, // "SCP1"
	version: { major: 4, minor: 0 },
	slotsMax: 64,
	headerBytes: 128,
	slotBytes: 128,
	rowsOffset: 128 + 64 * 128,
	rowBytes: 1024,
	topicOffset: 32,
	topicBytesMax: 249,
	topicIdOffset: 288,
	deliveredOffset: 512,
	/** Stands for the topic as a whole: the row's start is the number of partitions that were hidden, and so are not new. See StartRules. */
	notePartition: -1,
} as const;

/** i32 words. */
export const TableWord = { magic: 0, version: 1, rowsMax: 2, scanned: 3, claim: 4, deadLetterWriter: 5, described: 8 } as const;
export const IntentWord = { sequence: 0, row: 1, tailBefore: 2 } as const;
export const RowWord = { state: 0, partition: 1, users: 2, owner: 3, topicBytes: 4, moreUsers: 5, epoch: 76 } as const;
/** f64 words of the header. */
export const TableFloat = { lookedMs: 3 } as const;
/** f64 words, relative to the start of the intent or row. */
export const IntentFloat = { position: 2 } as const;
export const RowFloat = { start: 3, epochFrom: 39, usedMs: 62, startedMs: 63 } as const;

/** `writing`: a shard is writing the name, or died while writing it; then the next claimant reuses the row. */
export const RowState = { free: 0, writing: 1, named: 2, started: 3 } as const;
export type RowState = (typeof RowState)[keyof typeof RowState];
