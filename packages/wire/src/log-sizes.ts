/** Sizes of the logs of channels with history, here because the options are checked against them. What lies in them is for `packages/channel-log`. */
export const LogSize = {
	/** Logs of a cluster, for its whole life. */
	logs: 8,
	/** In front of the rows. */
	headerBytes: 8960,
	lineBytes: 128,
	rowBytes: 128,
	rowsPerBucket: 16,
	entryBytes: 32,
	entriesPerBucket: 16,
	/** For each partition of Kafka that feeds channels with history. */
	feedBytes: 32,
	/** Part of a log for them; there are never more than a cluster follows, for which a history of 64 MiB has room. */
	feedShare: 1 / 128,
	feedsMax: 2048,
	/** Part of the rows, and of the entries, that can be in use while each name still finds room: with 16 in a bucket 0.85; 0.75 when they expire and come without end. */
	load: 0.72,
	/** Bytes of history memory for each channel, and each idempotency key, unless their number is given. */
	bytesPerChannel: 2048,
	bytesPerKey: 256,
	logBytesMin: 65_536,
	logBytesMax: 2 ** 30,
	/** The largest record is this part of the data: padding, which is shorter than the record, plus record always fit. */
	recordsPerDataMin: 2,
} as const;

/** What all logs of a cluster together have room for. */
export interface LogCapacity {
	readonly memoryBytes: number;
	/** Channels that have an offset and an epoch; 0 = one for each 2 KiB. */
	readonly channels?: number;
	/** Idempotency keys that live; 0 = one for each 256 bytes. */
	readonly idempotencyKeys?: number;
}

/** Of each log. */
export interface LogSizes {
	readonly bytes: number;
	readonly rows: number;
	readonly entries: number;
	readonly feeds: number;
	/** Where publications lie; below 0 = the tables do not fit. */
	readonly dataBytes: number;
	/** Longest record, with everything that belongs to it. */
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

/** Whether the tables leave at least a third of a log to publications. */
export function leavesRoom({ bytes, dataBytes }: LogSizes): boolean {
	return dataBytes >= bytes / 3;
}

/** For so many in one log on average. Names fall into the logs by chance, so that some get more: four standard deviations are added. */
function slotsFor(average: number, perBucket: number): number {
	const buckets = Math.ceil((average + 4 * Math.sqrt(average)) / LogSize.load / perBucket);
	// Each name has two.
	return Math.max(2, buckets) * perBucket;
}
