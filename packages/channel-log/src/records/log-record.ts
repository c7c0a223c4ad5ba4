import { FedFloat, FedWord, fedBytes, LogRecord, RecordFlag, RecordFloat, RecordWord } from "../memory/log-descriptor.ts";
import { type LogMemory, padded } from "../memory/log-memory.ts";

/** The head of a record. Create it once and refill it: one object per record would be garbage on the hot path. */
export interface LogRecordHead {
	row: number;
	position: number;
	offset: number;
	previous: number;
	previousPosition: number;
	timeMs: number;
	key0: number;
	key1: number;
	key2: number;
	key3: number;
	epoch0: number;
	epoch1: number;
	size: number;
	ttlMs: number;
	metaTtlMs: number;
	/** See RecordFlag. */
	flags: number;
	/** Hash of channel and idempotency key; both words 0 = no key. */
	hash0: number;
	hash1: number;
	keyTtlMs: number;
	eventBytes: number;
	infoBytes: number;
	tagsBytes: number;
	/** Feed of a record with RecordFlag.fed; otherwise undefined. */
	feed0: number;
	feed1: number;
	feedName: number;
	feedEntry: number;
	leaderEpoch: number;
	sequence: number;
}

export function createLogRecordHead(): LogRecordHead {
	// Fields for fractions, or for more than 31 bits, start with such values, so that V8 stores them in place from the first record on.
	return {
		row: 0,
		position: Number.NaN,
		offset: Number.NaN,
		previous: Number.NaN,
		previousPosition: Number.NaN,
		timeMs: Number.NaN,
		key0: 0,
		key1: 0,
		key2: 0,
		key3: 0,
		epoch0: 0,
		epoch1: 0,
		size: 0,
		ttlMs: Number.NaN,
		metaTtlMs: Number.NaN,
		flags: 0,
		hash0: 0,
		hash1: 0,
		keyTtlMs: Number.NaN,
		eventBytes: 0,
		infoBytes: 0,
		tagsBytes: 0,
		feed0: 0,
		feed1: 0,
		feedName: 0,
		feedEntry: 0,
		leaderEpoch: 0,
		sequence: Number.NaN,
	};
}

/** Length without padding. */
export function recordBytes(head: LogRecordHead): number {
	const bytes = LogRecord.headBytes + head.eventBytes + head.infoBytes + head.tagsBytes;
	return (head.flags & RecordFlag.fed) === 0 ? bytes : padded(bytes) + fedBytes;
}

/** Writes the head at byte `start`. No allocation. */
export function writeLogRecordHead({ words, floats }: LogMemory, start: number, head: LogRecordHead): void {
	const word = start >> 2;
	const float = start >> 3;
	words[word + RecordWord.bytes] = recordBytes(head);
	words[word + RecordWord.row] = head.row;
	floats[float + RecordFloat.position] = head.position;
	floats[float + RecordFloat.offset] = head.offset;
	floats[float + RecordFloat.previous] = head.previous;
	floats[float + RecordFloat.previousPosition] = head.previousPosition;
	floats[float + RecordFloat.timeMs] = head.timeMs;
	words[word + RecordWord.key] = head.key0;
	words[word + RecordWord.key + 1] = head.key1;
	words[word + RecordWord.key + 2] = head.key2;
	words[word + RecordWord.key + 3] = head.key3;
	words[word + RecordWord.epoch0] = head.epoch0;
	words[word + RecordWord.epoch1] = head.epoch1;
	words[word + RecordWord.size] = head.size;
	words[word + RecordWord.ttlMs] = head.ttlMs;
	words[word + RecordWord.metaTtlMs] = head.metaTtlMs;
	words[word + RecordWord.flags] = head.flags;
	words[word + RecordWord.hash0] = head.hash0;
	words[word + RecordWord.hash1] = head.hash1;
	words[word + RecordWord.keyTtlMs] = head.keyTtlMs;
	words[word + RecordWord.eventBytes] = head.eventBytes;
	words[word + RecordWord.infoBytes] = head.infoBytes;
	words[word + RecordWord.tagsBytes] = head.tagsBytes;
	if ((head.flags & RecordFlag.fed) === 0) return;
	const fed = fedStart(start, head);
	words[(fed >> 2) + FedWord.feed0] = head.feed0;
	words[(fed >> 2) + FedWord.feed1] = head.feed1;
	words[(fed >> 2) + FedWord.feedName] = head.feedName;
	words[(fed >> 2) + FedWord.entry] = head.feedEntry;
	words[(fed >> 2) + FedWord.leaderEpoch] = head.leaderEpoch;
	floats[(fed >> 3) + FedFloat.sequence] = head.sequence;
}

/** Start of the feed, which is last in the record at byte `start`. */
function fedStart(start: number, head: LogRecordHead): number {
	return start + padded(LogRecord.headBytes + head.eventBytes + head.infoBytes + head.tagsBytes);
}

/**
 * Reads the head at byte `start` into `head`. False = there is no record of `position`, or it has been overwritten. A record may be
 * overwritten while it is read: the result is valid only if `isWhole` returns true afterwards.
 */
export function readLogRecordHead({ words, floats, dataBytes }: LogMemory, start: number, position: number, head: LogRecordHead): boolean {
	const word = start >> 2;
	const float = start >> 3;
	head.position = floats[float + RecordFloat.position]!;
	head.row = words[word + RecordWord.row]!;
	head.offset = floats[float + RecordFloat.offset]!;
	head.previous = floats[float + RecordFloat.previous]!;
	head.previousPosition = floats[float + RecordFloat.previousPosition]!;
	head.timeMs = floats[float + RecordFloat.timeMs]!;
	head.key0 = words[word + RecordWord.key]!;
	head.key1 = words[word + RecordWord.key + 1]!;
	head.key2 = words[word + RecordWord.key + 2]!;
	head.key3 = words[word + RecordWord.key + 3]!;
	head.epoch0 = words[word + RecordWord.epoch0]!;
	head.epoch1 = words[word + RecordWord.epoch1]!;
	head.size = words[word + RecordWord.size]!;
	head.ttlMs = words[word + RecordWord.ttlMs]! >>> 0;
	head.metaTtlMs = words[word + RecordWord.metaTtlMs]! >>> 0;
	head.flags = words[word + RecordWord.flags]!;
	head.hash0 = words[word + RecordWord.hash0]!;
	head.hash1 = words[word + RecordWord.hash1]!;
	head.keyTtlMs = words[word + RecordWord.keyTtlMs]! >>> 0;
	head.eventBytes = words[word + RecordWord.eventBytes]!;
	head.infoBytes = words[word + RecordWord.infoBytes]!;
	head.tagsBytes = words[word + RecordWord.tagsBytes]!;
	const bytes = words[word + RecordWord.bytes]!;
	const areLengths = head.eventBytes >= 0 && head.infoBytes >= 0 && head.tagsBytes >= 0 && bytes <= dataBytes;
	if (head.position !== position || !areLengths || bytes !== recordBytes(head)) return false;
	if ((head.flags & RecordFlag.fed) === 0) return true;
	const fed = fedStart(start, head);
	head.feed0 = words[(fed >> 2) + FedWord.feed0]!;
	head.feed1 = words[(fed >> 2) + FedWord.feed1]!;
	head.feedName = words[(fed >> 2) + FedWord.feedName]!;
	head.feedEntry = words[(fed >> 2) + FedWord.entry]!;
	head.leaderEpoch = words[(fed >> 2) + FedWord.leaderEpoch]!;
	head.sequence = floats[(fed >> 3) + FedFloat.sequence]!;
	return true;
}

/** See RecordFlag. */
export function hasFlag(head: LogRecordHead, flag: (typeof RecordFlag)[keyof typeof RecordFlag]): boolean {
	return (head.flags & flag) !== 0;
}
