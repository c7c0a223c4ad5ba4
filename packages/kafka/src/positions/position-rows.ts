import { channelHash } from "@shardcast/wire";
import { topicIdBytes, topicIdLength } from "../topic-id.ts";
import { PositionLayout, RowFloat, RowState, RowWord } from "./position-descriptor.ts";
import type { PositionGeometry } from "./position-geometry.ts";

const encoder = new TextEncoder();

/** A row that no shard has had use for so long may become another partition's. Shards say so every few seconds. */
const unusedMsMin = 60_000;

/** Of which partition of which topic a row is. */
export interface RowKey {
	readonly topic: string;
	/** Null = brokers do not tell ids. */
	readonly topicId: string | null;
	readonly partition: number;
}

interface KeyBytes {
	readonly name: Uint8Array;
	readonly id: Uint8Array;
	readonly partition: number;
}

/**
 * The rows of the table, for the one shard that has claimed it (`PositionTable.claimed`): finding, naming and starting them. Rows are
 * found by open addressing. When the table is full, a row is taken that no shard has had use for in the last minute.
 *
 * A shard that dies in here leaves at most one row half-written; the next claimant uses that one again.
 */
export class PositionRows {
	readonly #geometry: PositionGeometry;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #bytes: Uint8Array;

	constructor(buffer: ArrayBufferLike, geometry: PositionGeometry) {
		this.#geometry = geometry;
		this.#words = new Int32Array(buffer);
		this.#floats = new Float64Array(buffer);
		this.#bytes = new Uint8Array(buffer);
	}

	/** The partition's row, made when there is none; -1 when the table is full. It stays this partition's until `slot` drops it. */
	rowOf({ topic, topicId, partition }: RowKey, slot: number, nowMs: number): number {
		const key = { name: encoder.encode(topic), id: topicIdBytes(topicId), partition };
		const row = this.#find(key, nowMs);
		if (row < 0) return -1;
		Atomics.or(this.#words, this.#geometry.word(row) + usersWord(slot), userBit(slot));
		this.#floats[this.#geometry.float(row) + RowFloat.usedMs] = nowMs;
		return row;
	}

	/** The partition's row, -1 when there is none. */
	existing({ topic, topicId, partition }: RowKey): number {
		const name = encoder.encode(topic);
		const id = topicIdBytes(topicId);
		for (const row of this.#probes(name, partition)) {
			const state = this.#state(row);
			if (state === RowState.free) break;
			if (state !== RowState.writing && this.#isOf(row, name, partition) && this.#hasId(row, id)) return row;
		}
		return -1;
	}

	/** Whether the partition has a row with a start. */
	isStarted(key: RowKey): boolean {
		const row = this.existing(key);
		return row >= 0 && this.#state(row) === RowState.started;
	}

	/** Forgets the start: it is to be settled once more. Only of rows that nobody reads by. */
	reopen(row: number): void {
		Atomics.store(this.#words, this.#geometry.word(row) + RowWord.state, RowState.named);
	}

	/** A new life of the slot's shard begins: it holds no row yet, whatever the one before it held. */
	forgetUser(slot: number): void {
		for (let row = 0; row < this.#geometry.rowsMax; row++) dropUser(this.#words, this.#geometry.word(row), slot);
	}

	/** Whether there is a row of another topic of that name: one that was there before, or that follows. */
	knowsOther({ topic, topicId, partition }: RowKey): boolean {
		const name = encoder.encode(topic);
		const id = topicIdBytes(topicId);
		for (const row of this.#probes(name, partition)) {
			const state = this.#state(row);
			if (state === RowState.free) return false;
			if (state === RowState.writing || !this.#isOf(row, name, partition)) continue;
			if (!this.#hasId(row, id) && !this.#hasId(row, topicIdBytes(null))) return true;
		}
		return false;
	}

	/** Settles where the partition begins, once for the whole cluster: the first to say so wins. */
	startAt(row: number, offset: number, nowMs: number): void {
		if (this.#state(row) !== RowState.named) return;
		const float = this.#geometry.float(row);
		this.#floats[float + RowFloat.start] = offset;
		this.#floats[float + RowFloat.startedMs] = nowMs;
		Atomics.store(this.#words, this.#geometry.word(row) + RowWord.state, RowState.started);
	}

	/** The record before `from`, and those behind it until further notice, were written by the leader of that epoch. Older news is ignored. */
	noteEpoch(row: number, epoch: number, from: number): void {
		const word = this.#geometry.word(row) + RowWord.epoch;
		if (epoch <= this.#words[word]!) return;
		const float = this.#geometry.float(row) + RowFloat.epochFrom;
		// Readers do not claim the table: between these they find no offset that the epoch holds for.
		this.#floats[float] = Number.POSITIVE_INFINITY;
		Atomics.store(this.#words, word, epoch);
		this.#floats[float] = from;
	}

	/** The rows to look at, in order: up to the first free one. */
	*#probes(name: Uint8Array, partition: number): Iterable<number> {
		const first = hash(name, partition) % this.#geometry.rowsMax;
		for (let probe = 0; probe < this.#geometry.rowsMax; probe++) yield (first + probe) % this.#geometry.rowsMax;
	}

	#find(key: KeyBytes, nowMs: number): number {
		let usable = -1;
		for (const row of this.#probes(key.name, key.partition)) {
			const state = this.#state(row);
			// Nothing of this key lies behind a free row.
			if (state === RowState.free) return this.#write(usable < 0 ? row : usable, key);
			if (state === RowState.writing) {
				if (usable < 0) usable = row;
				continue;
			}
			if (!this.#isOf(row, key.name, key.partition)) continue;
			// A row made when the brokers did not tell ids stays the topic's when they begin to: nothing of it is read twice.
			if (this.#hasId(row, key.id) || this.#hasId(row, topicIdBytes(null))) return row;
		}
		if (usable < 0) usable = this.#unused(nowMs);
		return usable < 0 ? -1 : this.#write(usable, key);
	}

	/** A row that may be given to another partition; -1 = none. */
	#unused(nowMs: number): number {
		for (let row = 0; row < this.#geometry.rowsMax; row++) {
			const word = this.#geometry.word(row);
			// A shard that is only paused goes on writing into its rows when it wakes up, however long that takes.
			if (Atomics.load(this.#words, word + RowWord.users) !== 0 || Atomics.load(this.#words, word + RowWord.moreUsers) !== 0) continue;
			if (nowMs - this.#floats[this.#geometry.float(row) + RowFloat.usedMs]! >= unusedMsMin) return row;
		}
		return -1;
	}

	#write(row: number, { name, id, partition }: KeyBytes): number {
		const words = this.#words;
		const word = this.#geometry.word(row);
		Atomics.store(words, word + RowWord.state, RowState.writing);
		const byte = this.#geometry.byte(row);
		this.#bytes.set(name, byte + PositionLayout.topicOffset);
		this.#bytes.set(id, byte + PositionLayout.topicIdOffset);
		words[word + RowWord.topicBytes] = name.length;
		words[word + RowWord.partition] = partition;
		words[word + RowWord.owner] = 0;
		words[word + RowWord.epoch] = -1;
		const float = this.#geometry.float(row);
		this.#floats[float + RowFloat.epochFrom] = Number.POSITIVE_INFINITY;
		this.#floats.fill(0, float + this.#geometry.delivered, float + this.#geometry.delivered + PositionLayout.slotsMax);
		Atomics.store(words, word + RowWord.state, RowState.named);
		return row;
	}

	#state(row: number): number {
		return Atomics.load(this.#words, this.#geometry.word(row) + RowWord.state);
	}

	#isOf(row: number, name: Uint8Array, partition: number): boolean {
		const word = this.#geometry.word(row);
		if (this.#words[word + RowWord.partition] !== partition) return false;
		const at = this.#geometry.byte(row) + PositionLayout.topicOffset;
		return equal(this.#bytes.subarray(at, at + this.#words[word + RowWord.topicBytes]!), name);
	}

	#hasId(row: number, id: Uint8Array): boolean {
		const at = this.#geometry.byte(row) + PositionLayout.topicIdOffset;
		return equal(this.#bytes.subarray(at, at + topicIdLength), id);
	}
}

/** The slot's shard has no more use for the row. */
export function dropUser(words: Int32Array, rowWord: number, slot: number): void {
	Atomics.and(words, rowWord + usersWord(slot), ~userBit(slot));
}

function usersWord(slot: number): number {
	return slot < 32 ? RowWord.users : RowWord.moreUsers;
}
function userBit(slot: number): number {
	return 1 << (slot & 31);
}

/** Keyed by the cluster: topics whose names collide would make each claim of the table look at all of them. */
function hash(name: Uint8Array, partition: number): number {
	return Math.imul(channelHash(name) ^ partition, 0x01000193) >>> 0;
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
	return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
