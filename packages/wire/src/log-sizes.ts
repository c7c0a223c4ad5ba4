/** Sizes of the logs of channels with history. They are here because options are checked against them; `packages/channel-log` defines the contents. */
export const LogSize = {
	/** Number of logs of a cluster; fixed. */
	logs: 8,
	/** Bytes before the rows. */
	headerBytes: 8960,
	lineBytes: 128,
	rowBytes: 128,
	rowsPerBucket: 16,
	entryBytes: 32,
	entriesPerBucket: 16,
	/** Bytes per Kafka partition that feeds channels with history. */
	feedBytes: 32,
	/** Share of a log for feeds. A history of 64 MiB has room for all partitions that a cluster can read. */
	feedShare: 1 / 128,
	feedsMax: 2048,
	/** Share of rows or entries that can be in use while each name still finds room. With 16 per bucket it is 0.85, or 0.75 when names constantly expire and are added. */
	load: 0.72,
	/** Bytes of history memory per channel, and per idempotency key, from which their default numbers are derived. */
	bytesPerChannel: 2048,
	bytesPerKey: 256,
	logBytesMin: 65_536,
	logBytesMax: 2 ** 30,
	/** The largest record is half of the data, so that padding, which is shorter than the record, plus record always fit. */
	recordsPerDataMin: 2,
} as const;

/** Capacity of all logs of a cluster together. */
export interface LogCapacity {
	readonly memoryBytes: number;
	/** Channels with offset and epoch; 0 = one per 2 KiB. */
	readonly channels?: number;
	/** Unexpired idempotency keys; 0 = one per 256 bytes. */
	readonly idempotencyKeys?: number;
}

/** Sizes of each log. */
export interface LogSizes {
	readonly bytes: number;
	readonly rows: number;
	readonly entries: number;
	readonly feeds: number;
	/** Bytes for publications; negative if the tables do not fit. */
	readonly dataBytes: number;
	/** Longest record, head and all other parts included. */
	readonly recordBytesMax: number;
}

export function logSizes({ memoryBytes, channels = 0, idempotencyKeys = 0 }: LogCapacity): LogSizes {
	const { logs, lineBytes, headerBytes, rowBytes, rowsPerBucket, entryBytes, entriesPerBucket, feedBytes, feedShare, feedsMax } = LogSize;
	const bytes = wholeLines(memoryBytes / logs);
	const rows = slotsFor((channels || memoryBytes / LogSize.bytesPerChannel) / logs, rowsPerBucket);
	const entries = slotsFor((idempotencyKeys || memoryBytes / LogSize.bytesPerKey) / logs, entriesPerBucket);
	const feeds = Math.min(Math.floor((bytes * feedShare) / feedBytes), feedsMax);
	const dataBytes = wholeLines(bytes - headerBytes - rows * rowBytes - entries * entryBytes - feeds * feedBytes);
	return { bytes, rows, entries, feeds, dataBytes, recordBytesMax: Math.floor(dataBytes / LogSize.recordsPerDataMin) };

	function wholeLines(size: number): number {
		return Math.floor(size / lineBytes) * lineBytes;
	}
}

/** Whether at least a third of a log is left for publications. */
export function leavesRoom({ bytes, dataBytes }: LogSizes): boolean {
	return dataBytes >= bytes / 3;
}

/** Slots needed for an average number of names per log. Names are distributed at random, so four standard deviations are added. */
function slotsFor(average: number, perBucket: number): number {
	const buckets = Math.ceil((average + 4 * Math.sqrt(average)) / LogSize.load / perBucket);
	// Each name has two buckets.
	return Math.max(2, buckets) * perBucket;
}
