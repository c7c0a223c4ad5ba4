import { topicIdBytes, topicIdLength } from "../topic-id.ts";
import { IntentFloat, IntentWord, PositionLayout, RowFloat, RowState, RowWord, TableWord } from "./position-descriptor.ts";

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const rowWords = PositionLayout.rowBytes >> 2;
const rowFloats = PositionLayout.rowBytes >> 3;
const firstRowWord = PositionLayout.rowsOffset >> 2;
const firstRowFloat = PositionLayout.rowsOffset >> 3;
const deliveredFloat = PositionLayout.deliveredOffset >> 3;

/** A claim takes a few microseconds; whoever takes longer has died in it. */
const claimMsMax = 200;
/** A row that no shard has had use for so long may become another partition's. Shards say so every few seconds; one that hangs is killed sooner. */
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
	readonly nowMs: number;
}

/** A shard's identity over its lives: what `owner` holds. */
export function ownerOf(slot: number, incarnation: number): number {
	return (incarnation * PositionLayout.slotsMax + slot + 1) | 0;
}
export function slotOfOwner(owner: number): number {
	return (owner - 1) & (PositionLayout.slotsMax - 1);
}

/**
 * The position table over any shared bytes. **Each cell has one writer, as the descriptor says; anybody reads. Used on one
 * thread per process.** Rows are found by open addressing. When the table is full a row is taken that nobody has had use for in the last
 * minute; when there is none either, `rowOf` answers -1, and that partition is not read (health says so).
 */
export class PositionTable {
	readonly rowsMax: number;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #bytes: Uint8Array;

	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer);
		this.#floats = new Float64Array(buffer);
		this.#bytes = new Uint8Array(buffer);
		const { magic, version } = PositionLayout;
		if (Atomics.load(this.#words, TableWord.magic) !== magic || this.#words[TableWord.version] !== version)
			throw new Error("no position table of this version here; run the same build in all processes of a cluster");
		this.rowsMax = this.#words[TableWord.rowsMax]!;
	}

	static bytes(rowsMax: number): number {
		return PositionLayout.rowsOffset + rowsMax * PositionLayout.rowBytes;
	}

	/** Formats zeroed bytes. */
	static format(buffer: ArrayBufferLike, rowsMax: number): void {
		const words = new Int32Array(buffer);
		words[TableWord.version] = PositionLayout.version;
		words[TableWord.rowsMax] = rowsMax;
		Atomics.store(words, TableWord.magic, PositionLayout.magic);
	}

	/** Whether some shard has taken up the first list of topics: partitions found after that are new, and begin at their start. */
	get scanned(): boolean {
		return Atomics.load(this.#words, TableWord.scanned) === 1;
	}
	setScanned(): void {
		Atomics.store(this.#words, TableWord.scanned, 1);
	}

	/** The partition's row, made when there is none; -1 when the table is full. Counts as use. */
	rowOf({ topic, topicId, partition }: RowKey, nowMs: number): number {
		const key = { name: encoder.encode(topic), id: topicIdBytes(topicId), partition, nowMs };
		const row = this.#find(key);
		if (row >= 0) this.use(row, nowMs);
		return row >= 0 ? row : this.#recycle(key);
	}

	/** A shard has use for the row: it is not given to another partition within the next minute. */
	use(row: number, nowMs: number): void {
		this.#floats[firstRowFloat + row * rowFloats + RowFloat.usedMs] = nowMs;
	}

	/** Whether there is a row of another topic of that name: one that was there before, or that follows. */
	knowsOther({ topic, topicId, partition }: RowKey): boolean {
		const name = encoder.encode(topic);
		const id = topicIdBytes(topicId);
		for (let probe = 0, row = this.#firstProbe(name, partition); probe < this.rowsMax; probe++, row = (row + 1) % this.rowsMax) {
			const state = Atomics.load(this.#words, firstRowWord + row * rowWords + RowWord.state);
			if (state === RowState.free) return false;
			if (state === RowState.claimed || !this.#isOf(row, name, partition)) continue;
			if (!this.#hasId(row, id) && !this.#hasId(row, topicIdBytes(null))) return true;
		}
		return false;
	}

	#firstProbe(name: Uint8Array, partition: number): number {
		return hash(name, partition) % this.rowsMax;
	}

	/** -1 = every row is another's. */
	#find(key: KeyBytes): number {
		let row = this.#firstProbe(key.name, key.partition);
		for (let probe = 0; probe < this.rowsMax; probe++, row = (row + 1) % this.rowsMax) if (this.#take(row, key)) return row;
		return -1;
	}

	/** True when the row is this partition's, now or already. */
	#take(row: number, key: KeyBytes): boolean {
		const words = this.#words;
		const at = firstRowWord + row * rowWords;
		const deadline = performance.now() + claimMsMax;
		for (;;) {
			const state = Atomics.load(words, at + RowWord.state);
			if (state === RowState.free) {
				if (Atomics.compareExchange(words, at + RowWord.state, RowState.free, RowState.claimed) !== RowState.free) continue;
				this.#write(row, key);
				return true;
			}
			// A row made when the brokers did not tell ids stays the topic's when they begin to: nothing of it is read twice.
			if (state !== RowState.claimed)
				return this.#isOf(row, key.name, key.partition) && (this.#hasId(row, key.id) || this.#hasId(row, topicIdBytes(null)));
			// Its claimer died half-way: give the row back, one of those who wait takes it.
			if (performance.now() > deadline) Atomics.compareExchange(words, at + RowWord.state, RowState.claimed, RowState.free);
		}
	}

	/** Names a row that is claimed. */
	#write(row: number, { name, id, partition, nowMs }: KeyBytes): void {
		const words = this.#words;
		const at = firstRowWord + row * rowWords;
		const byte = PositionLayout.rowsOffset + row * PositionLayout.rowBytes;
		this.#bytes.set(name, byte + PositionLayout.topicOffset);
		this.#bytes.set(id, byte + PositionLayout.topicIdOffset);
		words[at + RowWord.topicBytes] = name.length;
		words[at + RowWord.partition] = partition;
		words[at + RowWord.owner] = 0;
		this.use(row, nowMs);
		const float = firstRowFloat + row * rowFloats;
		this.#floats.fill(0, float + deliveredFloat, float + deliveredFloat + PositionLayout.slotsMax);
		Atomics.store(words, at + RowWord.state, RowState.named);
	}

	/** One shard at a time, since two that look for the same partition must find the same row. */
	#recycle(key: KeyBytes): number {
		const words = this.#words;
		const deadline = performance.now() + claimMsMax;
		while (Atomics.compareExchange(words, TableWord.recycling, 0, 1) !== 0)
			if (performance.now() > deadline) Atomics.compareExchange(words, TableWord.recycling, 1, 0);
		try {
			const made = this.#find(key);
			if (made >= 0) return made;
			for (let row = 0; row < this.rowsMax; row++) {
				if (key.nowMs - this.#floats[firstRowFloat + row * rowFloats + RowFloat.usedMs]! < unusedMsMin) continue;
				const state = firstRowWord + row * rowWords + RowWord.state;
				const was = Atomics.load(words, state);
				if (was !== RowState.named && was !== RowState.started) continue;
				if (Atomics.compareExchange(words, state, was, RowState.claimed) !== was) continue;
				for (let slot = 0; slot < PositionLayout.slotsMax; slot++) this.intent(slot).forget(row);
				this.#write(row, key);
				return row;
			}
			return -1;
		} finally {
			Atomics.store(words, TableWord.recycling, 0);
		}
	}

	#isOf(row: number, name: Uint8Array, partition: number): boolean {
		return this.partition(row) === partition && equal(this.#name(row), name);
	}

	#hasId(row: number, id: Uint8Array): boolean {
		const at = PositionLayout.rowsOffset + row * PositionLayout.rowBytes + PositionLayout.topicIdOffset;
		return equal(this.#bytes.subarray(at, at + topicIdLength), id);
	}

	#name(row: number): Uint8Array {
		const at = PositionLayout.rowsOffset + row * PositionLayout.rowBytes + PositionLayout.topicOffset;
		return this.#bytes.subarray(at, at + this.#words[firstRowWord + row * rowWords + RowWord.topicBytes]!);
	}

	topic(row: number): string {
		return decoder.decode(new Uint8Array(this.#name(row)));
	}

	partition(row: number): number {
		return this.#words[firstRowWord + row * rowWords + RowWord.partition]!;
	}

	/** Settles where the partition begins, once for the whole cluster: the first to say so wins. */
	startAt(row: number, offset: number, nowMs: number): void {
		const words = this.#words;
		const state = firstRowWord + row * rowWords + RowWord.state;
		const deadline = performance.now() + claimMsMax;
		for (;;) {
			if (Atomics.compareExchange(words, state, RowState.named, RowState.starting) === RowState.named) {
				this.#floats[firstRowFloat + row * rowFloats + RowFloat.start] = offset;
				this.#floats[firstRowFloat + row * rowFloats + RowFloat.startedMs] = nowMs;
				Atomics.store(words, state, RowState.started);
			}
			if (Atomics.load(words, state) === RowState.started) return;
			if (performance.now() > deadline) Atomics.compareExchange(words, state, RowState.starting, RowState.named);
		}
	}

	/** The offset that nobody has delivered yet: the highest of all shards. Null while not even the start is known. */
	position(row: number): number | null {
		if (Atomics.load(this.#words, firstRowWord + row * rowWords + RowWord.state) !== RowState.started) return null;
		const at = firstRowFloat + row * rowFloats;
		let highest = this.#floats[at + RowFloat.start]!;
		for (let slot = 0; slot < PositionLayout.slotsMax; slot++) highest = Math.max(highest, this.#floats[at + deliveredFloat + slot]!);
		return highest;
	}

	/**
	 * Where a shard that came to life at `sinceMs` (`monotonicMs`) begins: where its siblings are, unless the partition is younger than
	 * it. Then its clients were there before the first record, however late it has heard of the partition.
	 */
	positionSince(row: number, sinceMs: number): number | null {
		const at = firstRowFloat + row * rowFloats;
		const position = this.position(row);
		return position !== null && this.#floats[at + RowFloat.startedMs]! >= sinceMs ? this.#floats[at + RowFloat.start]! : position;
	}

	delivered(row: number, slot: number): number {
		return this.#floats[firstRowFloat + row * rowFloats + deliveredFloat + slot]!;
	}

	setDelivered(row: number, slot: number, position: number): void {
		this.#floats[firstRowFloat + row * rowFloats + deliveredFloat + slot] = position;
	}

	/** The log was lost or made anew: what was delivered before counts no more. For the one shard that reads the partition. */
	restartAt(row: number, position: number): void {
		const at = firstRowFloat + row * rowFloats;
		this.#floats.fill(0, at + deliveredFloat, at + deliveredFloat + PositionLayout.slotsMax);
		this.#floats[at + RowFloat.start] = position;
	}

	owner(row: number): number {
		return Atomics.load(this.#words, firstRowWord + row * rowWords + RowWord.owner);
	}

	/** True when the row was `from`'s and is now `to`'s. */
	changeOwner(row: number, from: number, to: number): boolean {
		return Atomics.compareExchange(this.#words, firstRowWord + row * rowWords + RowWord.owner, from, to) === from;
	}

	/** Says what is about to be put on the bus: see Intent. */
	intent(slot: number): Intent {
		return new Intent(this, this.#words, this.#floats, slot);
	}
}

/**
 * What a shard is about to put on the bus, so that its successor knows how far it came. A record and the position behind it lie
 * in two places, and a process can die between the two; so the shard first writes down both the position and where its ring's
 * tail is. Afterwards, a tail that has moved means that the record is out, and one that has not means that it never will be.
 *
 * **One writer: the slot's shard. Readers: its successors, once it is certainly dead.**
 */
export class Intent {
	readonly #table: PositionTable;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #slot: number;
	readonly #word: number;
	readonly #float: number;

	constructor(table: PositionTable, words: Int32Array, floats: Float64Array, slot: number) {
		this.#table = table;
		this.#words = words;
		this.#floats = floats;
		this.#slot = slot;
		const bytes = PositionLayout.headerBytes + slot * PositionLayout.slotBytes;
		this.#word = bytes >> 2;
		this.#float = bytes >> 3;
	}

	/** The next commit on the own ring takes `row` to `position`. An odd sequence number means: under way. */
	declare(row: number, position: number, tailBefore: number): void {
		const words = this.#words;
		words[this.#word + IntentWord.row] = row;
		words[this.#word + IntentWord.tailBefore] = tailBefore;
		this.#floats[this.#float + IntentFloat.position] = position;
		Atomics.store(words, this.#word + IntentWord.sequence, (words[this.#word + IntentWord.sequence]! + 1) | 0);
	}

	/** The record is out and its position is written. */
	done(): void {
		const at = this.#word + IntentWord.sequence;
		Atomics.store(this.#words, at, (this.#words[at]! + 1) | 0);
	}

	/** The row is becoming another's: what its former life had begun on it means nothing any more. */
	forget(row: number): void {
		const words = this.#words;
		const sequence = Atomics.load(words, this.#word + IntentWord.sequence);
		if ((sequence & 1) === 0 || words[this.#word + IntentWord.row] !== row) return;
		Atomics.compareExchange(words, this.#word + IntentWord.sequence, sequence, (sequence + 1) | 0);
	}

	/**
	 * Finishes what a dead shard had begun. By its successors, any of them, and by its own next life before it publishes anything.
	 * @param tail of the dead shard's ring.
	 */
	settle(tail: () => number): void {
		const words = this.#words;
		const at = this.#word + IntentWord.sequence;
		const sequence = Atomics.load(words, at);
		if ((sequence & 1) === 0) return;
		const row = words[this.#word + IntentWord.row]!;
		const position = this.#floats[this.#float + IntentFloat.position]!;
		const isOut = tail() !== words[this.#word + IntentWord.tailBefore]!;
		// Whoever was faster has done it already, and the ring may have moved on since.
		if (Atomics.load(words, at) !== sequence) return;
		if (isOut && this.#table.delivered(row, this.#slot) < position) this.#table.setDelivered(row, this.#slot, position);
		Atomics.compareExchange(words, at, sequence, (sequence + 1) | 0);
	}
}

function hash(name: Uint8Array, partition: number): number {
	let value = 0x811c9dc5;
	for (const byte of name) value = Math.imul(value ^ byte, 0x01000193);
	return Math.imul(value ^ partition, 0x01000193) >>> 0;
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
	return one.length === other.length && one.every((byte, index) => byte === other[index]);
}
