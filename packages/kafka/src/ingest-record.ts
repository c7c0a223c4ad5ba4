/**
 * What lies in the ring between the ingest worker and the loop: a head, then (for `record` only) the event as it goes on the
 * bus, see BusRecord in @shardcast/wire.
 *
 * ```
 *  0           4      5     6       8                      16            20      24       24 + pad
 *  +-----------+------+-----+-------+----------------------+-------------+-------+--------+------------------
 *  | row u32   | mark | pad |       | position f64         | epoch i32   |       | unused | bus record
 *  +-----------+------+-----+-------+----------------------+-------------+-------+--------+------------------
 * ```
 * `row` is the partition's row in the position table. `position` is the offset to go on from once this is delivered. `epoch`, of a
 * `record`, is that of the leader that wrote it.
 *
 * `pad`, 0 to 7, lets the payload lie as it lay in the fetched batch, modulo 8: V8 copies into shared memory by words if both ends
 * are aligned alike, and byte by byte, four times as slowly for 1 KB, if they are not.
 *
 * In the order of the ring, marks reach the loop after all records before them: that is how it knows a partition to be finished with.
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
	/** All up to `position` was looked at, and the last of it gave nothing to deliver. */
	passed: 2,
	/** The log lost what we wanted; it goes on at `position`, which may be lower than before. */
	reset: 3,
	/** Nothing more of this partition follows. */
	revoked: 4,
} as const;
export type IngestMark = (typeof IngestMark)[keyof typeof IngestMark];
