import {
	recordBytes as eventBytes,
	type FullReason,
	insertExtensions,
	type RecordKind,
	setSenderShard,
	writeRecordHead,
} from "@shardcast/wire";
import type { ChannelName } from "./channel-names.ts";
import { LogError, LogErrorCode } from "./log-error.ts";
import { HeaderWord, LogCounter, LogLayout, LogRecord, RecordFlag } from "./memory/log-descriptor.ts";
import { takeLockFromDead, tryLock, unlock } from "./memory/log-lock.ts";
import { fence, type LogMemory, offsetOf, padded, skipPadding } from "./memory/log-memory.ts";
import { slowestCursor } from "./records/log-readers.ts";
import { createLogRecordHead, type LogRecordHead, readLogRecordHead, recordBytes, writeLogRecordHead } from "./records/log-record.ts";
import { ChannelTable } from "./tables/channel-table.ts";
import { FeedTable } from "./tables/feed-table.ts";
import { IdempotencyTable } from "./tables/idempotency-table.ts";

const tailFloat = LogLayout.tailOffset >> 3;
const intentFloat = LogLayout.intentOffset >> 3;
const appliedFloat = LogLayout.appliedOffset >> 3;

const fullCounters = { locked: "fullLocked", readers: "fullReaders", memory: "fullMemory", keys: "fullKeys" } as const;

/** The parts to append, encoded before the lock is taken. */
export interface AppendRequest {
	readonly channel: ChannelName;
	readonly data: Uint8Array;
	readonly kind: RecordKind;
	readonly info: Uint8Array;
	readonly tags: Uint8Array;
	/** Extensions of the event, see `encodeExtensions`; readers that do not know them skip them. */
	readonly extensions: Uint8Array;
	readonly senderId: number;
	readonly senderLife: number;
}

/** `published` and `duplicate` leave offset and epoch in `SequencedLog.head`. `known`: a record from Kafka that is in the log already. */
type AppendOutcome = "published" | "duplicate" | "known" | "too_large" | FullReason;

/** `refused`: the message was not sent. */
export type OnceOutcome = "published" | "duplicate" | "refused" | FullReason;

/**
 * One log, for writing. **Any number of processes, one thread each, one instance per thread.** A lock in shared memory, held for a microsecond,
 * serialises appends. Nothing waits for it: if it is taken, the caller keeps the message and tries again. The comment in log-descriptor.ts lists
 * the stores in order and the effect of a death after each.
 *
 * When an append would overwrite a record that the slowest live reader has not read, nothing is written (`readers`).
 */
export class SequencedLog {
	readonly memory: LogMemory;
	readonly table: ChannelTable;
	/** Head of the next publication, then of the last one. The caller fills in the fields that it knows. */
	readonly head: LogRecordHead = createLogRecordHead();
	readonly feeds: FeedTable;
	readonly #keys: IdempotencyTable;
	readonly #self: number;
	/** Lower bound on the cursors of all live readers. */
	#slowest: number;

	/** @param self `holderOf` this process's slot and incarnation. */
	constructor(memory: LogMemory, self: number) {
		this.memory = memory;
		this.#self = self;
		this.table = new ChannelTable(memory, memory.words[HeaderWord.channelEpoch]!);
		this.feeds = new FeedTable(memory);
		this.#keys = new IdempotencyTable(memory);
		this.#slowest = Number.NEGATIVE_INFINITY;
	}

	/** Everything before it is committed. */
	get tail(): number {
		return this.memory.floats[tailFloat]!;
	}

	/** Publications before it are in the tables. */
	get applied(): number {
		return this.memory.floats[appliedFloat]!;
	}

	/** Records before `intent - dataBytes` have been, or are being, overwritten. */
	get intent(): number {
		return this.memory.floats[intentFloat]!;
	}

	/**
	 * Publishes `head` and `appending`. Takes 0.2 µs for 128 bytes; allocates nothing.
	 * @param feedEntry for a record from Kafka: the last known entry of its feed.
	 */
	append(appending: AppendRequest, feedEntry = 0): AppendOutcome {
		const { memory, head } = this;
		const { floats } = memory;
		const { channel, data, info, tags, extensions } = appending;
		head.eventBytes = eventBytes(channel.list, data.length, extensions.length);
		head.infoBytes = info.length;
		head.tagsBytes = tags.length;
		const bytes = recordBytes(head);
		if (bytes > memory.recordBytesMax) return "too_large";
		if (!tryLock(memory, this.#self)) return this.refuse("locked");
		try {
			const tail = floats[tailFloat]!;
			if (floats[appliedFloat] !== tail) this.#finish();
			if ((head.hash0 | head.hash1) !== 0) {
				const entry = this.#keys.find(head.hash0, head.hash1, head.timeMs);
				if (entry >= 0) return this.#duplicate(entry);
				if (!this.#keys.hasRoom(head.hash0, head.hash1, head.timeMs)) return this.refuse("keys");
			}
			const isFed = (head.flags & RecordFlag.fed) !== 0;
			if (isFed && !this.#isNew(channel, feedEntry)) return "known";
			const units = padded(bytes);
			const lap = Math.floor(tail / memory.dataBytes) * memory.dataBytes;
			const left = memory.dataBytes - (tail - lap);
			const position = units <= left ? tail : lap + memory.dataBytes;
			const end = position + units;
			if (end - this.#slowest > memory.dataBytes && !this.#findRoom(tail, end)) return this.refuse("readers");
			const start = position === tail ? memory.dataOffset + (tail - lap) : memory.dataOffset;
			// Only in the first lap. At its end, padding takes up a word.
			const used = position === tail ? start + units : memory.dataOffset + (tail - lap) + LogLayout.unitBytes;
			if (lap === 0 && !memory.reserve(used)) return this.refuse("memory");
			head.position = position;
			this.table.place(head, channel.row, head.timeMs);

			// Never decrease it: a dead process may have damaged the bytes up to its intent.
			if (end > floats[intentFloat]!) floats[intentFloat] = end;
			fence();
			if (position !== tail) memory.words[(memory.dataOffset + (tail - lap)) >> 2] = LogRecord.padding;
			this.#write(start, appending);
			fence();
			floats[tailFloat] = end;

			if (this.table.evicts) this.count("evictedChannels");
			if (isFed && !isStored(head) && this.feeds.replaces(head) && !this.feeds.has(head)) this.count("feedsReplaced");
			this.count("published");
			this.#apply(head);
			floats[appliedFloat] = end;
		} finally {
			unlock(memory);
		}
		channel.row = head.row;
		return "published";
	}

	/** See `ChannelLog.once`; `head` has the hash of the key. The key has no position: offset 0. */
	once(publish: () => boolean): OnceOutcome {
		const { memory, head } = this;
		if (!tryLock(memory, this.#self)) return this.refuse("locked");
		try {
			if (this.applied !== this.tail) this.#finish();
			if (this.#keys.find(head.hash0, head.hash1, head.timeMs) >= 0) {
				this.count("duplicates");
				return "duplicate";
			}
			if (!this.#keys.hasRoom(head.hash0, head.hash1, head.timeMs)) return this.refuse("keys");
			if (!publish()) return "refused";
			head.offset = 0;
			head.epoch0 = 0;
			head.epoch1 = 0;
			this.#keys.apply(head);
		} finally {
			unlock(memory);
		}
		return "published";
	}

	/** Removes the channel's publications so far from its history. False = the log is locked. */
	forget(channel: ChannelName): boolean {
		const { memory } = this;
		if (!tryLock(memory, this.#self)) return false;
		try {
			if (this.applied !== this.tail) this.#finish();
			this.table.forget(channel.key);
		} finally {
			unlock(memory);
		}
		return true;
	}

	/**
	 * Cleans up after a process that has been reaped: finishes what it had committed and frees the lock. False = it does not hold the lock.
	 * @param dead `holderOf` that process.
	 */
	releaseDead(dead: number): boolean {
		if (!takeLockFromDead(this.memory, dead, this.#self)) return false;
		try {
			if (this.applied !== this.tail) this.#finish();
		} finally {
			unlock(this.memory);
		}
		return true;
	}

	/** Whether the record at `position` is still intact. If so, what was read from it before this call is valid. */
	isWhole(position: number): boolean {
		fence();
		return this.intent - position <= this.memory.dataBytes;
	}

	/** Reads the head of the record at `position`. False = it has been overwritten. */
	readHead(position: number, head: LogRecordHead): boolean {
		return readLogRecordHead(this.memory, offsetOf(this.memory, position), position, head) && this.isWhole(position);
	}

	/** Counts a refusal. */
	refuse(reason: FullReason): FullReason {
		this.count(fullCounters[reason]);
		return reason;
	}

	count(counter: LogCounter): void {
		Atomics.add(this.memory.words, (LogLayout.countersOffset >> 2) + LogCounter[counter], 1);
	}

	counter(counter: LogCounter): number {
		return Atomics.load(this.memory.words, (LogLayout.countersOffset >> 2) + LogCounter[counter]) >>> 0;
	}

	#duplicate(entry: number): AppendOutcome {
		const { offset, epoch0, epoch1 } = this.#keys.position(entry);
		this.head.offset = offset;
		this.head.epoch0 = epoch0;
		this.head.epoch1 = epoch1;
		this.count("duplicates");
		return "duplicate";
	}

	#write(start: number, { channel, kind, data, info, tags, extensions, senderId, senderLife }: AppendRequest): void {
		const { memory, head } = this;
		const { u8, view } = memory;
		writeLogRecordHead(memory, start, head);
		const event = start + LogRecord.headBytes;
		let payload = writeRecordHead(view, u8, event, kind, senderId, head.timeMs, channel.list);
		if (extensions.length > 0) payload = insertExtensions(view, u8, event, payload, extensions);
		if (senderId !== 0) setSenderShard(view, event, senderLife);
		u8.set(data, payload);
		const after = payload + data.length;
		if (info.length > 0) u8.set(info, after);
		if (tags.length > 0) u8.set(tags, after + info.length);
	}

	/** Updates the tables for a committed record. */
	#apply(head: LogRecordHead): void {
		this.table.apply(head);
		if ((head.hash0 | head.hash1) !== 0) this.#keys.apply(head);
		if ((head.flags & RecordFlag.fed) !== 0 && !isStored(head)) this.feeds.apply(head);
	}

	/** Under the lock: whether no process has appended this record from Kafka yet. */
	#isNew({ row }: ChannelName, feedEntry: number): boolean {
		const { head, feeds, table } = this;
		// The order of a channel of the store is in its row.
		if (isStored(head)) return !table.covers(head, row, head.timeMs);
		if (!feeds.place(head, feedEntry)) return false;
		return feeds.has(head) || !table.covers(head, row, head.timeMs);
	}

	/** Finishes the work of a holder that died after its commit, from its record. There is at most one, since no append starts before this. */
	#finish(): void {
		const { memory } = this;
		const head = createLogRecordHead();
		const position = skipPadding(memory, this.applied);
		if (!readLogRecordHead(memory, offsetOf(memory, position), position, head) || position + padded(recordBytes(head)) !== this.tail)
			throw new LogError(
				LogErrorCode.corrupt,
				`the last record, at ${position} before the tail ${this.tail}, is damaged`,
				"something else writes to this memory; restart the cluster",
			);
		this.#apply(head);
		memory.floats[appliedFloat] = this.tail;
		this.count("finished");
	}

	/** Reads the cursors again. Kept out of `append` so that the common path stays small. */
	#findRoom(tail: number, end: number): boolean {
		this.#slowest = slowestCursor(this.memory, tail);
		return end - this.#slowest <= this.memory.dataBytes;
	}
}

/** Whether the record is from the durable store. */
function isStored(head: LogRecordHead): boolean {
	return (head.flags & RecordFlag.stored) !== 0;
}

/** A counter, summed over the logs. */
export function countedBy(logs: readonly SequencedLog[], counter: LogCounter): number {
	return logs.reduce((sum, log) => sum + log.counter(counter), 0);
}

export function countsOf(logs: readonly SequencedLog[]): Record<LogCounter, number> {
	const names = Object.keys(LogCounter) as LogCounter[];
	return Object.fromEntries(names.map((name) => [name, countedBy(logs, name)])) as Record<LogCounter, number>;
}
