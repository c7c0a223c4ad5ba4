import type { RecordSource, VisitOrigin } from "@shardcast/bus";
import { LogError, LogErrorCode } from "../log-error.ts";
import { LogLayout, LogRecord, RecordFloat, RecordWord } from "../memory/log-descriptor.ts";
import { fence, offsetOf, padded } from "../memory/log-memory.ts";
import type { SequencedLog } from "../sequenced-log.ts";
import { closeReader, moveCursor, openReader } from "./log-readers.ts";
import { type LogRecordHead, readLogRecordHead } from "./log-record.ts";

/** The origin passed to visitors: records of a log do not belong to a member's ring. */
const noOrigin = -1;

/**
 * Reads all publications of all logs from its creation on. **One per slot, used by one thread.** A reader that stops reading blocks all writers
 * until the supervisor has restarted its process.
 *
 * Visitors get the event in the format of the bus; `current` returns its position and the other fields of the log. Wake-ups are those of the bus:
 * after the bus has announced that this member sleeps, `sleep` only checks for records, and writers wake sleeping members.
 */
export class LogReader implements RecordSource {
	readonly #logs: readonly SequencedLog[];
	readonly #slot: number;
	/** Per log: everything before this position has been visited. */
	readonly #cursors: Float64Array;
	#first = 0;
	/** What this `read` may still visit. */
	#bytesLeft = 0;
	#live = true;
	/** Log of the record being visited. */
	#log: SequencedLog;
	#start = -1;

	constructor(logs: readonly SequencedLog[], slot: number) {
		if (!Number.isInteger(slot) || slot < 0 || slot >= LogLayout.readersMax)
			throw new LogError(LogErrorCode.badArgument, `reader slot ${slot}`, `a log has slots 0 to ${LogLayout.readersMax - 1}`);
		this.#logs = logs;
		this.#slot = slot;
		this.#log = logs[0]!;
		this.#cursors = Float64Array.from(logs, ({ memory }) => openReader(memory, slot));
	}

	/**
	 * Visits up to `max` records. Ends after the record with which it has visited `bytesMax` bytes. If `visit` throws, the batch ends, the record counts as
	 * read, and the error is rethrown.
	 */
	read(max: number, visit: VisitOrigin, bytesMax: number = Number.POSITIVE_INFINITY): number {
		if (!this.#live) return 0;
		if (this.#start >= 0)
			throw new LogError(LogErrorCode.misuse, "read within a read", "note what there is to do and do it after read has returned");
		const { length } = this.#logs;
		const first = this.#first;
		// Starts with another log each time, so that a busy one cannot starve the others.
		this.#first = first + 1 < length ? first + 1 : 0;
		let left = max;
		this.#bytesLeft = bytesMax;
		for (let turn = 0; turn < length && left > 0; turn++) left -= this.#readLog((first + turn) % length, left, visit);
		return max - left;
	}

	/** Fills in the head of the record being visited. Its event is followed by `infoBytes` of info, then `tagsBytes` of tags as JSON. */
	current(head: LogRecordHead): void {
		if (this.#start < 0) throw new LogError(LogErrorCode.misuse, "no record is being visited", "call it only within visit");
		const { memory } = this.#log;
		readLogRecordHead(memory, this.#start, memory.floats[(this.#start >> 3) + RecordFloat.position]!, head);
	}

	/** Current position in a log. The record being visited counts as read. */
	cursor(log: number): number {
		return this.#cursors[log]!;
	}

	hasRecords(): boolean {
		if (!this.#live) return false;
		for (let log = 0; log < this.#logs.length; log++) if (this.#logs[log]!.tail !== this.#cursors[log]) return true;
		return false;
	}

	fill(): number {
		let fill = 0;
		if (this.#live)
			for (let log = 0; log < this.#logs.length; log++) {
				const { tail, memory } = this.#logs[log]!;
				fill = Math.max(fill, (tail - this.#cursors[log]!) / memory.dataBytes);
			}
		return fill;
	}

	sleep(): boolean {
		return !this.hasRecords();
	}

	/** Frees the slot: writers no longer wait for this reader. */
	leave(): void {
		if (!this.#live) return;
		this.#live = false;
		for (const { memory } of this.#logs) closeReader(memory, this.#slot);
	}

	#readLog(index: number, max: number, visit: VisitOrigin): number {
		const log = this.#logs[index]!;
		const { memory, tail } = log;
		const { words, floats, u8, view, recordBytesMax } = memory;
		const cursors = this.#cursors;
		const begin = cursors[index]!;
		if (tail === begin) return 0;
		fence();
		let position = begin;
		let count = 0;
		this.#log = log;
		try {
			while (position < tail && count < max && this.#bytesLeft > 0 && this.#live) {
				const start = offsetOf(memory, position);
				const bytes = words[(start >> 2) + RecordWord.bytes]!;
				if (bytes === LogRecord.padding) {
					position += memory.dataBytes - (start - memory.dataOffset);
					cursors[index] = position;
					continue;
				}
				const eventBytes = words[(start >> 2) + RecordWord.eventBytes]!;
				const isOne = bytes >= LogRecord.headBytes && bytes <= recordBytesMax && position + bytes <= tail;
				if (!isOne || floats[(start >> 3) + RecordFloat.position] !== position || eventBytes > bytes - LogRecord.headBytes)
					throw this.#corrupt(index, position);
				position += padded(bytes);
				cursors[index] = position;
				count++;
				this.#bytesLeft -= eventBytes;
				this.#start = start;
				const event = start + LogRecord.headBytes;
				visit(noOrigin, u8, view, event, event + eventBytes);
			}
		} finally {
			this.#start = -1;
			if (this.#live) moveCursor(memory, this.#slot, position);
		}
		return count;
	}

	#corrupt(log: number, position: number): LogError {
		return new LogError(
			LogErrorCode.corrupt,
			`reader ${this.#slot} at position ${position} of log ${log}: there is no record`,
			"something else writes to this memory, or the slot was released under a running reader; restart the reader",
		);
	}
}
