import { createRecordHead, readRecordHead } from "@shardcast/wire";
import type { GivenNumbering, History, HistoryOptions, HistorySummary, Position, Publication } from "../broker.ts";
import { type ChannelName, epochOf, epochText } from "../channel-names.ts";
import { LogRecord, RecordFlag } from "../memory/log-descriptor.ts";
import { fence, offsetOf, skipPadding } from "../memory/log-memory.ts";
import type { SequencedLog } from "../sequenced-log.ts";
import { type ChannelState, createChannelState } from "../tables/channel-table.ts";
import { createLogRecordHead, hasFlag, recordBytes } from "./log-record.ts";

const decoder = new TextDecoder();

/**
 * Reads the history of channels from their log, without the lock. Any process may do so at any time. There is no index: the channel table has the
 * position of the last publication, and each publication has that of the one before it. This class applies size and time to live, and notices
 * publications dropped for lack of memory.
 *
 * Costs 50 ns per publication passed on the way back, and a copy of each one returned.
 */
export class LogHistory {
	readonly #log: SequencedLog;
	readonly #state: ChannelState = createChannelState();
	readonly #head = createLogRecordHead();
	readonly #event = createRecordHead();

	constructor(log: SequencedLog) {
		this.#log = log;
	}

	/**
	 * @param before leaves out publications from this log position on.
	 * @returns null while a paused process is writing the channel's row.
	 */
	read(channel: ChannelName, options: HistoryOptions & { readonly allOrNone?: boolean }, before: number, nowMs: number): History | null {
		const { since, limit = Number.POSITIVE_INFINITY, reverse = false, allOrNone = false } = options;
		if (!this.#readState(channel, before, nowMs)) return null;
		const state = this.#state;
		let at = this.#skip(before);
		const given = this.#numbering();
		const position: Position = {
			offset: state.last,
			// At offset 0 the channel has its normal epoch, since 0 is not a position in a given one.
			epoch: given !== null && state.last > 0 ? given.epoch : epochOf(channel, state.epoch0, state.epoch1),
		};
		const answer = (publications: Publication[]): History => ({ publications, position, ...(given && { given }) });
		if (limit <= 0 || (since !== undefined && since.epoch !== position.epoch)) return answer([]);

		// The whole history expires at once, `ttlMs` after the last publication.
		if (state.publishedMs + state.ttlMs <= nowMs) return answer([]);
		const found: number[] = [];
		let evicted = false;
		for (let passed = 0; at !== LogRecord.noPosition && passed < state.size; passed++) {
			if (!this.#log.readHead(at, this.#head)) {
				evicted = true;
				break;
			}
			const { offset } = this.#head;
			if (offset < state.first || hasFlag(this.#head, RecordFlag.hidden)) break;
			if (!reverse && since !== undefined && offset <= since.offset) break;
			if (!reverse || since === undefined || offset < since.offset) found.push(at);
			if (reverse && found.length >= limit) break;
			if (allOrNone && found.length > limit) return answer([]);
			at = this.#head.previousPosition;
		}
		if (!reverse) found.reverse();
		const publications: Publication[] = [];
		for (const where of found) {
			if (publications.length >= limit) break;
			const publication = this.#copy(where);
			if (publication !== null) publications.push(publication);
			else {
				// It was overwritten meanwhile, and so was everything older.
				evicted = true;
				if (reverse) break;
				publications.length = 0;
			}
		}
		if (evicted) this.#log.count("evictedReads");
		return answer(publications);
	}

	/** Null unless another place decides the channel's offsets. */
	#numbering(): GivenNumbering | null {
		const { feed0, feed1, epoch0, epoch1, born, removed } = this.#state;
		if ((feed0 | feed1) === 0) return null;
		return { epoch: epochText(feed0, feed1), formerEpoch: epochText(epoch0, epoch1), born, removed };
	}

	/** A summary for the console. Does not keep the channel alive, and may be one publication behind. Null as for `read`, or without history. */
	summary(channel: ChannelName, nowMs: number): HistorySummary | null {
		const state = this.#state;
		if (!this.#log.table.read(channel.key, channel.row, nowMs, state, false) || state.row < 0) return null;
		const { first, last, size, publishedMs, ttlMs } = state;
		const kept = publishedMs + ttlMs <= nowMs ? 0 : Math.max(0, Math.min(size, last - first + 1));
		return { offset: last, kept };
	}

	/** Null as for `read`. */
	position(channel: ChannelName, before: number, nowMs: number): Position | null {
		return this.read(channel, { limit: 0 }, before, nowMs)?.position ?? null;
	}

	/**
	 * Reads the channel's state from its row, or from the last record if that is committed but its row is not written yet. This can take a while
	 * if the publisher is paused, and readers may have the record already.
	 */
	#readState(channel: ChannelName, before: number, nowMs: number): boolean {
		const log = this.#log;
		const state = this.#state;
		const applied = log.applied;
		fence();
		if (!log.table.read(channel.key, channel.row, nowMs, state)) return false;
		if (state.row >= 0) channel.row = state.row;
		if (before <= applied || state.lastPosition >= applied) return true;
		const position = skipPadding(log.memory, applied);
		const head = this.#head;
		if (position >= before || !log.readHead(position, head)) return true;
		const { key } = channel;
		if (head.key0 !== key[0] || head.key1 !== key[1] || head.key2 !== key[2] || head.key3 !== key[3]) return true;
		if (head.previous === 0) {
			const isKafkas = hasFlag(head, RecordFlag.kafkaOffset);
			state.first = head.offset;
			state.born = head.offset;
			state.removed = 0;
			state.feed0 = isKafkas ? head.feed0 : 0;
			state.feed1 = isKafkas ? head.feed1 : 0;
		} else if (hasFlag(head, RecordFlag.renews)) state.first = head.offset;
		state.epoch0 = head.epoch0;
		state.epoch1 = head.epoch1;
		state.last = head.offset;
		state.lastPosition = position;
		state.size = head.size;
		state.ttlMs = head.ttlMs;
		state.publishedMs = head.timeMs;
		return true;
	}

	/** Goes back to the last publication before `before`, and returns its position. */
	#skip(before: number): number {
		const state = this.#state;
		while (state.lastPosition >= before) {
			// The reader whose cursor is `before` protects it from being overwritten.
			if (!this.#log.readHead(state.lastPosition, this.#head)) return LogRecord.noPosition;
			state.last = this.#head.previous;
			state.lastPosition = this.#head.previousPosition;
		}
		return state.lastPosition;
	}

	/** Null when the publication has been overwritten. */
	#copy(position: number): Publication | null {
		const log = this.#log;
		const head = this.#head;
		if (!log.readHead(position, head)) return null;
		const start = offsetOf(log.memory, position);
		const copy = new Uint8Array(log.memory.u8.subarray(start + LogRecord.headBytes, start + recordBytes(head)));
		// Check before parsing: the bytes may be parts of two records.
		if (!log.isWhole(position)) return null;
		const event = this.#event;
		readRecordHead(new DataView(copy.buffer), 0, head.eventBytes, event);
		const tagsAt = head.eventBytes + head.infoBytes;
		return {
			offset: head.offset,
			previousOffset: head.previous,
			kind: event.kind,
			data: copy.subarray(event.payloadStart, event.payloadEnd),
			...(head.infoBytes > 0 ? { info: copy.subarray(head.eventBytes, tagsAt) } : {}),
			...(head.tagsBytes > 0 ? { tags: JSON.parse(decoder.decode(copy.subarray(tagsAt))) as Record<string, string> } : {}),
			...(hasFlag(head, RecordFlag.delta) ? { delta: true } : {}),
		};
	}
}
