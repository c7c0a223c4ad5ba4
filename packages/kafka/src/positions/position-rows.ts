import { channelHash } from "@shardcast/wire";
import { topicIdBytes, topicIdLength } from "../topic-id.ts";
import { PositionLayout, RowFloat, RowState, RowWord } from "./position-descriptor.ts";
import type { PositionGeometry } from "./position-geometry.ts";

const encoder = new TextEncoder();

/** A row that no shard has used for this long may be reused for another partition. Shards mark their rows every few seconds. */
const unusedMsMin = 60_000;

/** The partition that a row belongs to. */
interface RowKey {
	readonly topic: string;
	/** Null when the brokers do not report topic ids. */
	readonly topicId: string | null;
	readonly partition: number;
}

interface KeyBytes {
	readonly name: Uint8Array;
	readonly id: Uint8Array;
	readonly partition: number;
}

/**
 * Finds, names and starts rows of the table. Only the shard that has claimed the table may use it (`PositionTable.claimed`). Look-up is
 * by open addressing. When the table is full, a row that no shard has used in the last minute is reused.
 *
 * A shard that dies in here leaves at most one half-written row, which the next claimant reuses.
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

	/** The partition's row, added if it does not exist; -1 when the table is full. It is not reused until `slot` drops it. */
	rowOf({ topic, topicId, partition }: RowKey, slot: number, nowMs: number): number {
		const key = { name: encoder.encode(topic), id: topicIdBytes(topicId), partition };
		const row = this.#find(key, nowMs);
		if (row < 0) return -1;
		Atomics.or(this.#words, this.#geometry.word(row) + usersWord(slot), userBit(slot));
		this.#floats[this.#geometry.float(row) + RowFloat.usedMs] = nowMs;
		return row;
	}

	/** The partition's row; -1 when there is none. */
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

	/** Removes the start, so that it is set again. Only for rows that no shard reads. */
	reopen(row: number): void {
		Atomics.store(this.#words, this.#geometry.word(row) + RowWord.state, RowState.named);
	}

	/** Removes the slot from the users of all rows. Call when a new incarnation of its shard starts. */
	forgetUser(slot: number): void {
		for (let row = 0; row < this.#geometry.rowsMax; row++) dropUser(this.#words, this.#geometry.word(row), slot);
	}

	/** Whether there is a row of an earlier or later topic with the same name. */
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

	/** Sets the partition's start for the whole cluster. Only the first call has an effect. */
	startAt(row: number, offset: number, nowMs: number): void {
		if (this.#state(row) !== RowState.named) return;
		const float = this.#geometry.float(row);
		this.#floats[float + RowFloat.start] = offset;
		this.#floats[float + RowFloat.startedMs] = nowMs;
		Atomics.store(this.#words, this.#geometry.word(row) + RowWord.state, RowState.started);
	}

	/** Notes that the leader of `epoch` wrote the record before `from` and those after it, until the next call. Ignores older epochs. */
	noteEpoch(row: number, epoch: number, from: number): void {
		const word = this.#geometry.word(row) + RowWord.epoch;
		if (epoch <= this.#words[word]!) return;
		const float = this.#geometry.float(row) + RowFloat.epochFrom;
		// Readers do not claim the table: between these stores no offset matches the epoch.
		this.#floats[float] = Number.POSITIVE_INFINITY;
		Atomics.store(this.#words, word, epoch);
		this.#floats[float] = from;
	}

	/** The rows to probe, in order, up to the first free one. */
	*#probes(name: Uint8Array, partition: number): Iterable<number> {
		const first = hash(name, partition) % this.#geometry.rowsMax;
		for (let probe = 0; probe < this.#geometry.rowsMax; probe++) yield (first + probe) % this.#geometry.rowsMax;
	}

	#find(key: KeyBytes, nowMs: number): number {
		let usable = -1;
		for (const row of this.#probes(key.name, key.partition)) {
			const state = this.#state(row);
			// The key is in no row after a free one.
			if (state === RowState.free) return this.#write(usable < 0 ? row : usable, key);
			if (state === RowState.writing) {
				if (usable < 0) usable = row;
				continue;
			}
			if (!this.#isOf(row, key.name, key.partition)) continue;
			// A row from before the brokers reported ids remains valid, so that nothing is read twice.
			if (this.#hasId(row, key.id) || this.#hasId(row, topicIdBytes(null))) return row;
		}
		if (usable < 0) usable = this.#unused(nowMs);
		return usable < 0 ? -1 : this.#write(usable, key);
	}

	/** A row that may be reused for another partition; -1 = none. */
	#unused(nowMs: number): number {
		for (let row = 0; row < this.#geometry.rowsMax; row++) {
			const word = this.#geometry.word(row);
			// A paused shard continues to write into its rows when it wakes up, however long that takes.
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

/** Removes the slot from the row's users. */
export function dropUser(words: Int32Array, rowWord: number, slot: number): void {
	Atomics.and(words, rowWord + usersWord(slot), ~userBit(slot));
}

function usersWord(slot: number): number {
	return slot < 32 ? RowWord.users : RowWord.moreUsers;
}
function userBit(slot: number): number {
	return 1 << (slot & 31);
}

/** Keyed per cluster, so that nobody can choose topic names that collide: each claim of the table would probe all of them. */
function hash(name: Uint8Array, partition: number): number {
	return Math.imul(channelHash(name) ^ partition, 0x01000193) >>> 0;
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
	return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
