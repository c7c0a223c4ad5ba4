/**
 * The entries of the ring between ingest worker and loop: a head, then (for `record` only) the event in the format of the
 * bus, see BusRecord in @shardcast/wire.
 *
 * ```
 *  0           4      5     6       8                      16            20      24       24 + pad
 *  +-----------+------+-----+-------+----------------------+-------------+-------+--------+------------------
 *  | row u32   | mark | pad |       | position f64         | epoch i32   |       | unused | bus record
 *  +-----------+------+-----+-------+----------------------+-------------+-------+--------+------------------
 * ```
 * `row` is the partition's row in the position table. `position` is the offset to continue from after this entry. `epoch`, for a
 * `record`, is that of the leader that wrote it.
 *
 * `pad`, 0 to 7, gives the payload the same alignment as in the fetched batch: V8 copies into shared memory by words if source and
 * target are aligned alike, otherwise byte by byte, which takes four times as long for 1 KB.
 *
 * The ring keeps the order, so when the loop reads a mark it has read all records before it.
 */
export const IngestLayout = {
	rowOffset: 0,
	markOffset: 4,
	padOffset: 5,
	padMax: 7,
	positionOffset: 8,
	epochOffset: 16,
	headBytes: 24,
} as const;

export const IngestMark = {
	/** A record to deliver. */
	record: 1,
	/** Everything up to `position` was processed; the last records gave nothing to deliver. */
	passed: 2,
	/** The next record is not in the log; reading continues at `position`, which may be lower than before. */
	reset: 3,
	/** No more entries of this partition follow. */
	revoked: 4,
} as const;
export type IngestMark = (typeof IngestMark)[keyof typeof IngestMark];
