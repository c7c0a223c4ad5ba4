/** What the streams between the processes of a gateway count, since the start. */
export class StreamCounts {
	/** Records that were written, and the bytes in them. */
	sentRecords = 0;
	sentBytes = 0;
	/** Records for this process, and the bytes in them. */
	receivedRecords = 0;
	receivedBytes = 0;
	/** Times that the ring was full: some process did not read fast enough. */
	ringFull = 0;
	/** Records of processes that have gone, for a former process of this slot, or for streams that are over. */
	stale = 0;
	/** Records that this version does not understand. */
	malformed = 0;
	/** Channels that were not accepted: a process has too many. */
	refused = 0;
	/** Streams that were broken since the other process sent more than it may. */
	violations = 0;
	/** Resets that were not sent: too many waited. */
	unsent = 0;
	/** Processes that were found, and that went. */
	found = 0;
	lost = 0;
}
