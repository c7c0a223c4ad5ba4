import { type LogCapacity, type LogSizes, leavesRoom, logSizes } from "@shardcast/wire";
import { LogError, LogErrorCode } from "../log-error.ts";
import { HeaderWord, LogLayout, LogRecord } from "./log-descriptor.ts";

/** Views of a log's bytes. Any number of threads and processes may map the same bytes. */
export interface LogMemory {
	readonly words: Int32Array;
	/** Stores to an element are never torn, unlike those through a DataView. */
	readonly floats: Float64Array;
	readonly u8: Uint8Array;
	readonly view: DataView;
	readonly rows: number;
	readonly entries: number;
	readonly rowsOffset: number;
	readonly entriesOffset: number;
	readonly feeds: number;
	readonly feedsOffset: number;
	readonly dataOffset: number;
	readonly dataBytes: number;
	/** Longest record, head included. */
	readonly recordBytesMax: number;
	/** Reserves memory for the first `bytes` bytes of the log. False = the machine has none left. */
	reserve(bytes: number): boolean;
}

/** @throws LogError when the capacity is not possible. */
export function checkedSizes(capacity: LogCapacity): LogSizes {
	const sizes = logSizes(capacity);
	const { logs, logBytesMin, logBytesMax } = LogLayout;
	if (!Number.isInteger(sizes.bytes) || sizes.bytes < logBytesMin || sizes.bytes > logBytesMax)
		throw new LogError(
			LogErrorCode.badArgument,
			`logs of ${capacity.memoryBytes} bytes`,
			`give them ${logBytesMin * logs} to ${logBytesMax * logs} together`,
		);
	if (!leavesRoom(sizes))
		throw new LogError(
			LogErrorCode.badArgument,
			`room for ${sizes.rows * logs} channels and ${sizes.entries * logs} idempotency keys takes more than two thirds of ${capacity.memoryBytes} bytes`,
			"give more memory, or room for fewer",
		);
	return sizes;
}

/** Start of the data. Everything before it is in use from the beginning. */
export function dataOffsetOf({ rows, entries, feeds }: Pick<LogSizes, "rows" | "entries" | "feeds">): number {
	return LogLayout.rowsOffset + rows * LogLayout.rowBytes + entries * LogLayout.entryBytes + feeds * LogLayout.feedBytes;
}

/** Values common to all logs of a cluster. */
interface ClusterIdentity {
	/** Keys the hashes of channel names, so that clients cannot choose names that collide. */
	readonly secret: Int32Array;
	readonly channelEpoch: number;
}

export function randomIdentity(): ClusterIdentity {
	const secret = crypto.getRandomValues(new Int32Array(HeaderWord.secretWords));
	return { secret, channelEpoch: crypto.getRandomValues(new Int32Array(1))[0]! };
}

/** Formats zeroed bytes as an empty log without readers. No other process may use them yet. */
export function formatLog(
	buffer: ArrayBufferLike,
	{ secret, channelEpoch }: ClusterIdentity,
	{ rows, entries, feeds, dataBytes }: LogSizes,
	reservedBytes: number,
): void {
	const words = new Int32Array(buffer);
	words[HeaderWord.versionMajor] = LogLayout.versionMajor;
	words[HeaderWord.versionMinor] = LogLayout.versionMinor;
	words[HeaderWord.headerBytes] = LogLayout.rowsOffset;
	words[HeaderWord.rows] = rows;
	words[HeaderWord.entries] = entries;
	words[HeaderWord.feeds] = feeds;
	words[HeaderWord.dataBytes] = dataBytes;
	words[HeaderWord.channelEpoch] = channelEpoch;
	words.set(secret, HeaderWord.secret);
	words[LogLayout.reservedOffset >> 2] = reservedBytes;
	// The magic number is stored last: a process that attaches too early finds no log instead of an incomplete one.
	Atomics.store(words, HeaderWord.magic, LogLayout.magic);
}

/**
 * Maps a log that was formatted before.
 * @param reserve makes the file system reserve the first `bytes` bytes; absent = all memory is reserved already.
 * @throws LogError with a description of what the bytes contain instead.
 */
export function attachLog(buffer: ArrayBufferLike, reserve?: (bytes: number) => boolean): LogMemory {
	const notALog = (what: string): LogError => new LogError(LogErrorCode.notALog, what, "run the same build in all processes of a cluster");
	if (buffer.byteLength < LogLayout.logBytesMin) throw notALog(`${buffer.byteLength} bytes are too few for a log`);
	const words = new Int32Array(buffer, 0, buffer.byteLength >> 2);
	if (Atomics.load(words, HeaderWord.magic) !== LogLayout.magic) throw notALog("no log here");
	// A newer minor version only adds words after those that this program knows.
	const major = words[HeaderWord.versionMajor];
	if (major !== LogLayout.versionMajor) throw notALog(`the log has version ${major}, this program reads ${LogLayout.versionMajor}`);
	const rows = words[HeaderWord.rows]!;
	const entries = words[HeaderWord.entries]!;
	const feeds = words[HeaderWord.feeds]!;
	const dataBytes = words[HeaderWord.dataBytes]!;
	const rowsOffset = words[HeaderWord.headerBytes]!;
	const entriesOffset = rowsOffset + rows * LogLayout.rowBytes;
	const feedsOffset = entriesOffset + entries * LogLayout.entryBytes;
	const dataOffset = feedsOffset + feeds * LogLayout.feedBytes;
	// Checked before views are made: with a damaged header, stores could go to wrong places.
	const { rowsPerBucket, entriesPerBucket } = LogLayout;
	const areSizes =
		rows >= 2 * rowsPerBucket && entries >= 2 * entriesPerBucket && feeds > 0 && dataBytes > 0 && rowsOffset >= LogLayout.rowsOffset;
	const areWhole = rows % rowsPerBucket === 0 && entries % entriesPerBucket === 0 && dataBytes % LogLayout.unitBytes === 0;
	if (!areSizes || !areWhole || dataOffset + dataBytes > buffer.byteLength) throw notALog("the log's header contradicts its size");
	return {
		words,
		floats: new Float64Array(buffer, 0, buffer.byteLength >> 3),
		u8: new Uint8Array(buffer),
		view: new DataView(buffer),
		rows,
		entries,
		rowsOffset,
		entriesOffset,
		feeds,
		feedsOffset,
		dataOffset,
		dataBytes,
		recordBytesMax: Math.floor(dataBytes / LogLayout.recordsPerDataMin),
		reserve: reserve === undefined ? () => true : (bytes) => reserveMore(words, buffer.byteLength, bytes, reserve),
	};
}

/** Any process may reserve at any time. Memory that is already reserved does not change. */
function reserveMore(words: Int32Array, logBytes: number, bytes: number, reserve: (bytes: number) => boolean): boolean {
	const word = LogLayout.reservedOffset >> 2;
	for (;;) {
		const reserved = Atomics.load(words, word);
		if (bytes <= reserved) return true;
		const wanted = Math.min(logBytes, Math.ceil(bytes / LogLayout.reserveBytes) * LogLayout.reserveBytes);
		if (!reserve(wanted)) return false;
		Atomics.compareExchange(words, word, reserved, wanted);
	}
}

/** Byte offset of a position in the log. */
export function offsetOf({ dataOffset, dataBytes }: LogMemory, position: number): number {
	return dataOffset + (position - Math.floor(position / dataBytes) * dataBytes);
}

/** Length of a record with its padding. */
export function padded(bytes: number): number {
	return (bytes + LogLayout.unitBytes - 1) & -LogLayout.unitBytes;
}

/** The first position from `position` on where a record starts. Skips padding. */
export function skipPadding(memory: LogMemory, position: number): number {
	if (memory.words[offsetOf(memory, position) >> 2] !== LogRecord.padding) return position;
	return (Math.floor(position / memory.dataBytes) + 1) * memory.dataBytes;
}

const fenceWord = new Int32Array(new SharedArrayBuffer(4));

/**
 * Keeps loads before it before loads after it, and the same for stores. It costs nothing on x86-64, where the CPU keeps this order and V8 does not
 * reorder typed-array accesses; on arm64 it is a read-modify-write. To order a store before a load, use `Atomics`.
 */
export const fence: () => void = process.arch === "x64" ? () => {} : () => void Atomics.add(fenceWord, 0, 0);
