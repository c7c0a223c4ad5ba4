import { EntryFloat, LogLayout, RowFloat, RowWord } from "./log-descriptor.ts";
import type { LogMemory } from "./log-memory.ts";

/** Fill levels of the logs. */
export interface LogFill {
	/** Memory in use, tables included. Never decreases: when all is in use, new publications replace the oldest. */
	readonly usedBytes: number;
	readonly bytes: number;
	/** Approximate number of channels with offset and epoch, and the number of rows. Above three quarters, channels begin to lose their rows. */
	readonly channels: number;
	readonly rows: number;
	/** Approximate number of unexpired idempotency keys, and the number of entries. */
	readonly keys: number;
	readonly entries: number;
}

/** Most places of a table that are sampled: a scrape must not read the whole memory. */
const placesMax = 2048;
/** Rows or entries of one bucket. */
const bucket = LogLayout.rowsPerBucket;

/** Computes the fill levels, without locks. Numbers of tables with more than 2048 places are estimates. */
export function fillOf(memories: readonly LogMemory[], nowMs: number): LogFill {
	const sum = (of: (memory: LogMemory) => number): number => memories.reduce((total, memory) => total + of(memory), 0);
	return {
		usedBytes: sum(({ floats, dataOffset, dataBytes }) => dataOffset + Math.min(floats[LogLayout.tailOffset >> 3]!, dataBytes)),
		bytes: sum(({ dataOffset, dataBytes }) => dataOffset + dataBytes),
		channels: sum((memory) => share(memory.rows, (row) => hasChannel(memory, row, nowMs))),
		rows: sum(({ rows }) => rows),
		keys: sum((memory) => share(memory.entries, (entry) => keyExpiresMs(memory, entry) > nowMs)),
		entries: sum(({ entries }) => entries),
	};
}

/** Estimates the number of places in use from whole buckets spread over the table: a bucket fills from its start. */
function share(places: number, isUsed: (place: number) => boolean): number {
	const step = bucket * Math.ceil(places / placesMax);
	let looked = 0;
	let used = 0;
	for (let first = 0; first < places; first += step) {
		looked += bucket;
		for (let place = first; place < first + bucket; place++) if (isUsed(place)) used++;
	}
	return Math.round((used / looked) * places);
}

function hasChannel({ words, floats, rowsOffset }: LogMemory, row: number, nowMs: number): boolean {
	const word = (rowsOffset + row * LogLayout.rowBytes) >> 2;
	const float = word >> 1;
	const usedMs = Math.max(floats[float + RowFloat.publishedMs]!, floats[float + RowFloat.touchedMs]!);
	return words[word + RowWord.used] !== 0 && usedMs + (words[word + RowWord.metaTtlMs]! >>> 0) > nowMs;
}

function keyExpiresMs({ floats, entriesOffset }: LogMemory, entry: number): number {
	return floats[((entriesOffset + entry * LogLayout.entryBytes) >> 3) + EntryFloat.expiresMs]!;
}
