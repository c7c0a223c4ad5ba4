/**
 * The position table: how far each shard has delivered each partition, in memory that all shards share. It outlives any one of
 * them, so a shard that comes back goes on where its siblings are, and a partition that changes hands goes on after the last
 * record that its former owner put on the bus. A topic that was deleted and created again has another id, and so separate rows.
 *
 * ```
 * 0            header: magic | version | rowsMax | scanned (the first list of topics has been taken up) | claim | dead-letter writer
 *              looked (when a shard looked at the topics) f64 at +24 | where all else lies, i32 at +32: see PositionGeometry
 * 128          slot 0's intent: sequence i32 | row i32 | ring tail before i32 | … | position f64 at +16
 * 256          slot 1's intent …                                                                  64 slots
 * 8320         row 0: state i32 | partition i32 | users i32 | owner i32 | topic bytes i32 | more users i32 | start f64 at +24
 *                     topic at +32 | topic id at +288 (zeros: not known) | epoch i32 at +304 | epoch from f64 at +312
 *                     when a shard last had use for it, f64 at +496
 *                     when the start was settled, f64 at +504 | delivered f64 × 64 at +512, one cell per slot
 * 9344         row 1 …
 * ```
 * `claim` is 0 or the shard that changes rows at this moment; only it writes states, names and starts (`PositionRows`). A shard is
 * its incarnation × 64 + its slot + 1, so that a dead one is never taken for its successor. `owner` is 0 or the shard that reads the
 * partition in shared mode. `dead-letter writer` is 0 or the shard that writes dead letters where all read everything. `epoch` is that
 * of the leader that wrote what lies before `epoch from` and behind. `users` has a bit per slot whose shard holds the row's number: only
 * a row without users may become another's.
 *
 * Within a major version rows and intents may grow and move, and nothing else changes.
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
	/** Stands for the topic as a whole: its start is how many partitions were hidden from us, and so are not new. See StartRules. */
	notePartition: -1,
} as const;

/** i32 words. */
export const TableWord = { magic: 0, version: 1, rowsMax: 2, scanned: 3, claim: 4, deadLetterWriter: 5, described: 8 } as const;
export const IntentWord = { sequence: 0, row: 1, tailBefore: 2 } as const;
export const RowWord = { state: 0, partition: 1, users: 2, owner: 3, topicBytes: 4, moreUsers: 5, epoch: 76 } as const;
/** f64 words of the header. */
export const TableFloat = { lookedMs: 3 } as const;
/** f64 words, counted from the start of the intent or the row. */
export const IntentFloat = { position: 2 } as const;
export const RowFloat = { start: 3, epochFrom: 39, usedMs: 62, startedMs: 63 } as const;

/** `writing`: its name is being written, or whoever wrote it died half-way; then the next claimant uses it again. */
export const RowState = { free: 0, writing: 1, named: 2, started: 3 } as const;
export type RowState = (typeof RowState)[keyof typeof RowState];
