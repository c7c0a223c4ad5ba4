import { randomInt } from "node:crypto";
import type { Database, RootDatabase } from "lmdb";
import { type DurableStore, lateMax, type StoredChannel, type StoreOutcome, type Storing } from "../store.ts";
import { StoreError, StoreErrorCode } from "../store-error.ts";
import { storedKey } from "../stored-key.ts";
import { decodeRecord, encodeRecord, type StoredPublication } from "../stored-record.ts";
import { EmbeddedPositions } from "./embedded-positions.ts";
import { openStoreFile } from "./lmdb-file.ts";

interface EmbeddedStoreOptions {
	readonly folder: string;
	/** Publishing is refused when the store has this size. Called at each use. */
	readonly bytesMax: () => number;
	/** Most rows of consumers. Called at each use. */
	readonly positionsMax: () => number;
	/** Returns milliseconds since 1970: the clock must continue across reboots. */
	readonly nowMs?: () => number;
}

interface Row extends StoredChannel {
	/** There are no records with a lower offset. */
	readonly kept: number;
	readonly publishedMs: number;
	readonly ttlMs: number;
	readonly metaTtlMs: number;
}

interface Waiting {
	/** Null when only the row is needed. */
	readonly publication: Storing | null;
	readonly metaTtlMs: number;
	readonly done: (outcome: StoreOutcome) => void;
	readonly failed: (error: unknown) => void;
}

const waitingMax = 10_000;
const batchMax = 256;
/** Most records that a write removes, besides those that it replaces. */
const removalsMax = 1000;
const sweptMax = 50;

/**
 * The store in an LMDB file, one per machine. When `publish` has resolved, the publication is on the disk and survives restarts of process, cluster
 * and machine.
 *
 * A thread of the library writes. If the process is killed during a write, nothing of it remains. A channel's row has a version, and a write
 * takes effect only if the version is the one that was read, so processes need no other lock. Reads are synchronous, from mapped memory.
 */
export class EmbeddedStore implements DurableStore {
	readonly positions: EmbeddedPositions;
	readonly #root: RootDatabase<Buffer, string[]>;
	readonly #channels: Database<Buffer, string[]>;
	readonly #records: Database<Buffer, [string, number]>;
	readonly #keys: Database<Buffer, [string, string]>;
	readonly #options: EmbeddedStoreOptions;
	readonly #nowMs: () => number;
	readonly #waiting = new Map<string, Waiting[]>();
	#waits = 0;
	#isFull = false;
	#bytes = 0;
	#swept: string[] | undefined;
	#sweptKey: [string, string] | undefined;

	private constructor(options: EmbeddedStoreOptions) {
		this.#options = options;
		this.#nowMs = options.nowMs ?? Date.now;
		this.#root = openStoreFile(options.folder);
		this.#channels = this.#root.openDB({ name: "channels", encoding: "binary", useVersions: true });
		this.#records = this.#root.openDB({ name: "records", encoding: "binary" });
		this.#keys = this.#root.openDB({ name: "keys", encoding: "binary" });
		const positions = this.#root.openDB<Buffer, [string, string, string]>({ name: "positions", encoding: "binary", useVersions: true });
		this.positions = new EmbeddedPositions(positions, options.positionsMax, this.#nowMs);
		this.#measure();
	}

	/** @throws StoreError */
	static open(options: EmbeddedStoreOptions): EmbeddedStore {
		return new EmbeddedStore(options);
	}

	/** Bytes in use, as of the last sweep. */
	get bytes(): number {
		return this.#bytes;
	}

	/** Stores a publication. Rejects with StoreError if the write fails: then it is not in the store. */
	publish(channel: string, publication: Storing): Promise<StoreOutcome> {
		if (this.#isFull || this.#waits >= waitingMax) return Promise.resolve("full");
		return this.#enqueue(channel, publication, publication.history.metaTtlMs);
	}

	/** Returns the channel. Creates it if it does not exist. */
	async open(channel: string, metaTtlMs: number): Promise<StoredChannel | "full"> {
		const known = this.channel(channel);
		if (known !== null) return known;
		if (this.#isFull || this.#waits >= waitingMax) return "full";
		const outcome = await this.#enqueue(channel, null, metaTtlMs);
		return outcome === "full" ? outcome : outcome.channel;
	}

	/** The current state, whichever process wrote it. Null if the channel was never used, or has expired. */
	channel(channel: string): StoredChannel | null {
		this.#root.resetReadTxn();
		const row = this.#row(channel)?.row ?? null;
		if (row === null) return null;
		const { epoch0, epoch1, last } = row;
		return { epoch0, epoch1, last, first: this.#firstOf(row) };
	}

	/** Publications after an offset, oldest first. @param until last offset, inclusive. */
	read(channel: string, after: number, until: number, limit: number): StoredPublication[] {
		const stored = this.channel(channel);
		if (stored === null) return [];
		const start = Math.max(after + 1, stored.first);
		return this.#range(channel, start, until, { limit });
	}

	/** Like `read`, but includes older publications than the history if they still exist. For readers that pass publications on and may be late. */
	readLate(channel: string, after: number, limit: number): StoredPublication[] {
		this.#root.resetReadTxn();
		const row = this.#row(channel)?.row;
		return row === undefined ? [] : this.#range(channel, Math.max(after + 1, row.kept), row.last, { limit });
	}

	/** Newest first. @param before the offset to start below. */
	readReverse(channel: string, before: number, limit: number): StoredPublication[] {
		const stored = this.channel(channel);
		if (stored === null) return [];
		const until = Math.min(before - 1, stored.last);
		return this.#range(channel, Math.max(stored.first, until - limit + 1), until, { limit }).reverse();
	}

	/** Removes the publications. False = something was published meanwhile; try again. */
	async remove(channel: string): Promise<boolean> {
		this.#root.resetReadTxn();
		const found = this.#row(channel);
		if (found === null) return true;
		const { row, version } = found;
		return this.#channels.ifVersion([channel], version, () => this.#write(channel, { ...row, first: row.last + 1 }, version, []));
	}

	/** Removes expired data, a little at a time. Call about once a second. */
	async sweep(): Promise<void> {
		this.#measure();
		const nowMs = this.#nowMs();
		const rows = [...this.#channels.getRange({ ...(this.#swept && { start: this.#swept }), limit: sweptMax })];
		this.#swept = rows.length < sweptMax ? undefined : rows.at(-1)!.key;
		const done: Promise<unknown>[] = [this.positions.sweep()];
		for (const { key, value, version } of rows) {
			const row = parse<Row>(value);
			const [channel] = key as [string];
			const first = this.#firstOf(row);
			if (row.kept < first) done.push(this.#channels.ifVersion(key, version!, () => this.#write(channel, { ...row, first }, version!, [])));
			else if (row.publishedMs + row.metaTtlMs <= nowMs && row.kept > row.last)
				done.push(this.#channels.ifVersion(key, version!, () => void this.#channels.remove(key)));
		}
		const keys = [...this.#keys.getRange({ ...(this.#sweptKey && { start: this.#sweptKey }), limit: removalsMax })];
		this.#sweptKey = keys.length < removalsMax ? undefined : keys.at(-1)!.key;
		for (const { key, value } of keys) if (parse<KeyRow>(value).untilMs <= nowMs) done.push(this.#keys.remove(key));
		await Promise.all(done);
	}

	/** Closes the store when writes in progress are done. */
	async close(): Promise<void> {
		await this.positions.close();
		await this.#root.close();
	}

	#enqueue(channel: string, publication: Storing | null, metaTtlMs: number): Promise<StoreOutcome> {
		return new Promise((done, failed) => {
			const waiting: Waiting = { publication, metaTtlMs, done, failed };
			this.#waits++;
			const queue = this.#waiting.get(channel);
			if (queue !== undefined) queue.push(waiting);
			else {
				this.#waiting.set(channel, [waiting]);
				// In a later turn, so that publications of the same turn share a write.
				setImmediate(() => void this.#work(channel));
			}
		});
	}

	/** Writes a channel's waiting publications, batch by batch. Never rejects. */
	async #work(channel: string): Promise<void> {
		const queue = this.#waiting.get(channel)!;
		while (queue.length > 0) {
			const batch = queue.slice(0, batchMax);
			try {
				const outcomes = await this.#writeBatch(channel, batch);
				// Another process was faster: read again.
				if (outcomes === null) continue;
				for (const [index, { done }] of batch.entries()) done(outcomes[index]!);
			} catch (error) {
				const failure = writeFailed(error);
				for (const { failed } of batch) failed(failure);
			}
			queue.splice(0, batch.length);
			this.#waits -= batch.length;
		}
		this.#waiting.delete(channel);
	}

	async #writeBatch(channel: string, batch: readonly Waiting[]): Promise<StoreOutcome[] | null> {
		this.#root.resetReadTxn();
		const found = this.#row(channel);
		const nowMs = this.#nowMs();
		let row = found?.row ?? newRow(batch[0]!.metaTtlMs, nowMs);
		const records: [number, Buffer][] = [];
		const keys = new Map<string, KeyRow>();
		const offsets = batch.map(({ publication }) => {
			if (publication === null) return { offset: row.last, duplicate: false };
			const { history, idempotency } = publication;
			const key = idempotency === undefined ? null : storedKey(idempotency.key);
			if (key !== null) {
				const used = keys.get(key) ?? this.#key(channel, key);
				if (used !== null && used.untilMs > nowMs && used.epoch0 === row.epoch0) return { offset: used.offset, duplicate: true };
			}
			const first = this.#firstOf(row);
			const last = row.last + 1;
			row = { ...row, ...history, last, first: Math.max(first, last - history.size + 1), publishedMs: nowMs };
			records.push([last, encodeRecord(publication)]);
			if (key !== null) keys.set(key, { offset: last, epoch0: row.epoch0, untilMs: nowMs + idempotency!.ttlMs });
			return { offset: last, duplicate: false };
		});
		const after = row;
		const put = (version: number) => {
			this.#write(channel, after, version, records);
			for (const [key, value] of keys) void this.#keys.put([channel, key], Buffer.from(JSON.stringify(value)));
		};
		if (found === null || records.length > 0) {
			const isDone = await (found === null
				? this.#channels.ifNoExists([channel], () => put(0))
				: this.#channels.ifVersion([channel], found.version, () => put(found.version)));
			if (!isDone) return null;
		}
		const { epoch0, epoch1, last, first } = after;
		return offsets.map((each) => ({ ...each, channel: { epoch0, epoch1, last, first } }));
	}

	/** Inside a conditional write: stores the row and new records, and removes expired ones. */
	#write(channel: string, row: Row, version: number, records: readonly [number, Buffer][]): void {
		// If the whole history is gone, keep nothing.
		const first = row.first > row.last ? row.first : row.first - lateMax;
		const kept = Math.max(row.kept, Math.min(first, row.kept + removalsMax + records.length));
		for (let offset = row.kept; offset < kept; offset++) void this.#records.remove([channel, offset]);
		void this.#channels.put([channel], Buffer.from(JSON.stringify({ ...row, kept } satisfies Row)), version + 1);
		for (const [offset, record] of records) if (offset >= kept) void this.#records.put([channel, offset], record);
	}

	#row(channel: string): { readonly row: Row; readonly version: number } | null {
		const entry = this.#channels.getEntry([channel]);
		if (entry === undefined) return null;
		const row = parse<Row>(entry.value);
		return { row, version: entry.version! };
	}

	/** A whole history expires at once, `ttlMs` after the last publication. */
	#firstOf({ first, last, publishedMs, ttlMs }: Row): number {
		return publishedMs + ttlMs <= this.#nowMs() ? last + 1 : first;
	}

	#key(channel: string, key: string): KeyRow | null {
		const value = this.#keys.get([channel, key]);
		return value === undefined ? null : parse<KeyRow>(value);
	}

	#range(channel: string, start: number, until: number, { limit }: { readonly limit: number }): StoredPublication[] {
		if (until < start || limit <= 0) return [];
		const found: StoredPublication[] = [];
		const range = this.#records.getRange({ start: [channel, start], end: [channel, until + 1], limit });
		for (const { key, value } of range) found.push(decodeRecord(key[1], value));
		return found;
	}

	#measure(): void {
		const databases = [this.#channels, this.#records, this.#keys];
		const pages = databases
			.map((database) => database.getStats() as Pages)
			.map((each) => each.treeBranchPageCount + each.treeLeafPageCount + each.overflowPages);
		const { pageSize } = this.#root.getStats() as Pages;
		this.#bytes = pages.reduce((sum, count) => sum + count, 0) * pageSize;
		this.#isFull = this.#bytes >= this.#options.bytesMax();
	}
}

interface KeyRow {
	readonly offset: number;
	readonly epoch0: number;
	readonly untilMs: number;
}

interface Pages {
	readonly pageSize: number;
	readonly treeBranchPageCount: number;
	readonly treeLeafPageCount: number;
	readonly overflowPages: number;
}

function newRow(metaTtlMs: number, nowMs: number): Row {
	const half = () => randomInt(1, 2 ** 31);
	return { epoch0: half(), epoch1: half(), last: 1, first: 2, kept: 2, publishedMs: nowMs, ttlMs: 0, metaTtlMs };
}

function parse<T>(value: Uint8Array): T {
	return JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.length).toString()) as T;
}

function writeFailed(error: unknown): StoreError {
	const cause = (error as { readonly commitError?: unknown }).commitError ?? error;
	const { message } = cause as Error;
	return new StoreError(
		StoreErrorCode.write,
		`cannot write to the durable store (${message})`,
		"free space on its disk, or check the disk",
		error,
	);
}
