import { partitionKey } from "../client/partition-state.ts";
import type { SourcePartition } from "../source.ts";
import type { HistoryError, HistoryPart, HistoryRequest } from "./history-messages.ts";
import { type MissedRecord, RecordPack } from "./record-pack.ts";

/** All records of one channel in a partition from Kafka offset `from` up to, but not including, `to`. It can only grow at its end. */
export interface RecordRange {
	readonly from: number;
	readonly to: number;
	readonly records: readonly MissedRecord[];
}

/** `tooMany`: more records than `recordsMax`, or more than fit into memory. */
export type HistoryFailure = HistoryError | "tooMany";

interface MissedRecordsParts {
	/** Returns false when no worker is running. */
	readonly send: (request: HistoryRequest) => boolean;
	/** Most records that one client can get. */
	readonly recordsMax: number;
	/** Most partitions read at a time. */
	readonly readsMax: number;
	readonly timeoutMs: number;
	/** Most bytes of cached records. */
	readonly bytesMax: number;
	readonly now?: () => number;
}

interface Range extends RecordRange {
	to: number;
	readonly records: MissedRecord[];
	bytes: number;
	usedMs: number;
	/** A job is reading the records that follow this range. */
	isExtended: boolean;
}

interface Waiter {
	readonly channel: string;
	readonly from: number;
	readonly to: number;
	readonly resolve: (result: RecordRange | HistoryFailure) => void;
}

interface Job {
	readonly key: string;
	readonly to: number;
	readonly waiters: readonly Waiter[];
	/** The offset from which each channel is read. */
	readonly froms: ReadonlyMap<string, number>;
}

/** How long records stay cached after their last use. */
const keptMs = 10_000;
/** Clients that are more than this many records of the partition behind are served last, so that the others do not wait for them. */
const spanMax = 200_000;

/**
 * Reads and caches the records that reconnecting clients have missed, for channels fed by a single partition. Clients tend to reconnect together,
 * so one job at a time reads a partition for all waiting channels and clients. They share the result: a later job reads only what follows it.
 * **One per shard, on its loop.**
 *
 * Bound: `readsMax` jobs of at most `timeoutMs`; twice `recordsMax` records of a channel; `bytesMax` bytes of cache, evicted by least recent use.
 */
export class MissedRecords {
	readonly #parts: MissedRecordsParts;
	readonly #now: () => number;
	/** By partition and channel, least recently used first. */
	readonly #ranges = new Map<string, Range>();
	#bytes = 0;
	/** By partition: requests that no job has taken yet. */
	readonly #waiting = new Map<string, { readonly partition: SourcePartition; waiters: Waiter[] }>();
	readonly #reading = new Set<string>();
	readonly #jobs = new Map<number, Job>();
	#ids = 0;

	constructor(parts: MissedRecordsParts) {
		this.#parts = parts;
		this.#now = parts.now ?? (() => performance.now());
	}

	/** Cached bytes. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Returns the records from Kafka offset `from` up to, but not including, `to`, from the cache if it has them. Never rejects. */
	get(partition: SourcePartition, channel: string, from: number, to: number): Promise<RecordRange | HistoryFailure> {
		const key = partitionKey(partition);
		const range = this.#ranges.get(rangeKey(key, channel));
		if (range !== undefined && range.from <= from && range.to >= to) return Promise.resolve(this.#use(rangeKey(key, channel), range));
		return new Promise((resolve) => {
			const waiting = this.#waiting.get(key) ?? { partition, waiters: [] };
			this.#waiting.set(key, waiting);
			waiting.waiters.push({ channel, from, to, resolve });
			this.#start();
		});
	}

	/** Takes the worker's answer to request `id`. */
	answer(id: number, parts: readonly HistoryPart[], error: HistoryError | null): void {
		const job = this.#jobs.get(id);
		if (job === undefined) return;
		this.#jobs.delete(id);
		this.#reading.delete(job.key);
		const results = new Map<string, RecordRange | HistoryError>();
		for (const [channel, from] of job.froms) {
			const known = this.#ranges.get(rangeKey(job.key, channel));
			const part = parts.find(({ name }) => name === channel);
			results.set(channel, error ?? (part === undefined ? "unavailable" : this.#keep(rangeKey(job.key, channel), from, job.to, part)));
			if (known !== undefined) known.isExtended = false;
		}
		for (const { channel, from, resolve } of job.waiters) {
			const result = results.get(channel)!;
			resolve(typeof result !== "string" && result.from > from ? "tooMany" : result);
		}
		this.#start();
	}

	/** Fails all jobs. Call when the worker has ended. */
	failReads(): void {
		for (const id of [...this.#jobs.keys()]) this.answer(id, [], "unavailable");
	}

	/** Evicts records that have not been used for ten seconds. Call periodically. */
	forgetUnused(): void {
		for (const [key, { usedMs }] of this.#ranges) {
			if (usedMs + keptMs > this.#now()) return;
			this.#forget(key);
		}
	}

	#start(): void {
		const { readsMax } = this.#parts;
		for (const [key, { partition, waiters }] of this.#waiting) {
			if (this.#jobs.size >= readsMax) return;
			if (this.#reading.has(key)) continue;
			this.#waiting.delete(key);
			const to = Math.max(...waiters.map((each) => each.to));
			const near = waiters.filter(({ from }) => from >= to - spanMax);
			if (near.length > 0 && near.length < waiters.length)
				this.#waiting.set(key, { partition, waiters: waiters.filter((each) => !near.includes(each)) });
			this.#read(key, partition, near.length > 0 ? near : waiters);
		}
	}

	#read(key: string, partition: SourcePartition, waiters: readonly Waiter[]): void {
		const { send, recordsMax, bytesMax, timeoutMs } = this.#parts;
		const froms = new Map<string, number>();
		for (const { channel, from } of waiters) froms.set(channel, Math.min(froms.get(channel) ?? from, from));
		let to = Math.max(...waiters.map((each) => each.to));
		for (const [channel, from] of froms) {
			const range = this.#ranges.get(rangeKey(key, channel));
			// Read only what follows the cached range, unless that starts too late or is large enough.
			if (range === undefined || range.from > from || range.records.length > 2 * recordsMax) continue;
			range.isExtended = true;
			range.usedMs = this.#now();
			froms.set(channel, range.to);
			to = Math.max(to, range.to);
		}
		const id = ++this.#ids;
		this.#jobs.set(id, { key, to, waiters, froms });
		this.#reading.add(key);
		const channels = [...froms].map(([name, from]) => ({ name, from }));
		const from = Math.min(...froms.values());
		if (!send({ id, partition, from, to, channels, recordsMax, bytesMax, timeoutMs })) this.answer(id, [], "unavailable");
	}

	#keep(key: string, from: number, to: number, part: HistoryPart): RecordRange {
		const records = RecordPack.read(part.bytes, part.count);
		const before = this.#ranges.get(key);
		this.#bytes += part.bytes.byteLength;
		if (before?.isExtended && before.to === from && part.from === from) {
			for (const record of records) before.records.push(record);
			before.to = to;
			before.bytes += part.bytes.byteLength;
			return this.#use(key, before);
		}
		this.#forget(key);
		return this.#use(key, { from: part.from, to, records, bytes: part.bytes.byteLength, usedMs: 0, isExtended: false });
	}

	#use(key: string, range: Range): RecordRange {
		range.usedMs = this.#now();
		this.#ranges.delete(key);
		this.#ranges.set(key, range);
		for (const [oldest, { isExtended }] of this.#ranges) {
			if (this.#bytes <= this.#parts.bytesMax || oldest === key) break;
			if (!isExtended) this.#forget(oldest);
		}
		return range;
	}

	#forget(key: string): void {
		this.#bytes -= this.#ranges.get(key)?.bytes ?? 0;
		this.#ranges.delete(key);
	}
}

function rangeKey(partition: string, channel: string): string {
	return `${partition} ${channel}`;
}
