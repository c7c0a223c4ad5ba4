/**
 * What happened to the frames of one lane, or of the same lane of many clients. At any time
 * `offered = delivered + dropped + refused + discarded + waiting`.
 */
export class LaneCounters {
	offered = 0;
	/** Taken out to be sent. */
	delivered = 0;
	/** VIDEO that made room for something newer, or found none. */
	dropped = 0;
	/** Found no room and may not be dropped: its source keeps it. */
	refused = 0;
	/** Was waiting when its client or backend went. */
	discarded = 0;
	/** Frames waiting now. */
	waiting = 0;
	/** Most frames that waited in one queue. */
	highWater = 0;
	/** How often a queue reached 80 % of a bound. */
	backpressureEvents = 0;
}
