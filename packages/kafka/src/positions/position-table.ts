import { PositionLayout, RowFloat, RowState, RowWord, TableFloat, TableWord } from "./position-descriptor.ts";
import { PositionGeometry } from "./position-geometry.ts";
import { PositionIntent } from "./position-intent.ts";
import { dropUser, PositionRows } from "./position-rows.ts";

const decoder = new TextDecoder();

/** The identity of one incarnation of a shard, as stored in `owner` and `claim`. */
export function ownerOf(slot: number, incarnation: number): number {
	return (incarnation * PositionLayout.slotsMax + slot + 1) | 0;
}
export function slotOfOwner(owner: number): number {
	return (owner - 1) & (PositionLayout.slotsMax - 1);
}
export function incarnationOfOwner(owner: number): number {
	return (owner - 1 - slotOfOwner(owner)) / PositionLayout.slotsMax;
}

/** The shard that claims the table. */
export interface Claimant {
	/** `ownerOf` the shard's current incarnation. */
	readonly self: number;
	/** Whether that incarnation's process has been reaped. Silence does not prove it: a paused process writes again when it continues. */
	readonly isGone: (owner: number) => boolean;
}

/**
 * The position table over any shared bytes. **Each cell has one writer, see the descriptor; every shard reads. Used on one
 * thread per process.** One shard at a time adds and starts rows, while it holds the claim.
 */
export class PositionTable {
	readonly rowsMax: number;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #bytes: Uint8Array;
	readonly #rows: PositionRows;
	readonly #geometry: PositionGeometry;

	/** @throws Error when the bytes are not a table that this program can use: see PositionGeometry. */
	constructor(buffer: ArrayBufferLike) {
		this.#words = new Int32Array(buffer);
		this.#floats = new Float64Array(buffer);
		this.#bytes = new Uint8Array(buffer);
		this.#geometry = new PositionGeometry(this.#words);
		this.rowsMax = this.#geometry.rowsMax;
		this.#rows = new PositionRows(buffer, this.#geometry);
	}

	static bytes(rowsMax: number): number {
		return PositionLayout.rowsOffset + rowsMax * PositionLayout.rowBytes;
	}

	/** Formats zeroed bytes. */
	static format(buffer: ArrayBufferLike, rowsMax: number): void {
		const words = new Int32Array(buffer);
		PositionGeometry.describe(words, rowsMax);
		Atomics.store(words, TableWord.magic, PositionLayout.magic);
	}

	/** Whether the first list of topics is in the table. Partitions found after that are new, and are read from their first record. */
	get scanned(): boolean {
		return Atomics.load(this.#words, TableWord.scanned) === 1;
	}
	setScanned(): void {
		Atomics.store(this.#words, TableWord.scanned, 1);
	}

	/** `Date.now()` of a recent listing of the topics by any shard. The latest one may be a little later. */
	get lookedMs(): number {
		return this.#floats[TableFloat.lookedMs]!;
	}
	looked(atMs: number): void {
		if (atMs > this.lookedMs) this.#floats[TableFloat.lookedMs] = atMs;
	}

	/** The shard that is changing rows; 0 = none. */
	get claimedBy(): number {
		return Atomics.load(this.#words, TableWord.claim);
	}

	/**
	 * Calls `change` with exclusive access to the rows. Never waits: while another shard holds the claim it does nothing and returns null; try
	 * again later. A claim takes microseconds unless its process is paused. The claim of a dead shard is taken over.
	 */
	claimed<T extends object | boolean | number>({ self, isGone }: Claimant, change: (rows: PositionRows) => T): T | null {
		const holder = Atomics.compareExchange(this.#words, TableWord.claim, 0, self);
		if (holder === self) throw new Error("this shard has already claimed the position table");
		if (holder !== 0 && !(isGone(holder) && Atomics.compareExchange(this.#words, TableWord.claim, holder, self) === holder)) return null;
		try {
			return change(this.#rows);
		} finally {
			Atomics.compareExchange(this.#words, TableWord.claim, self, 0);
		}
	}

	/** Makes this shard the writer of dead letters unless a live shard is. Returns whether this shard is the writer. */
	claimDeadLetters({ self, isGone }: Claimant): boolean {
		const writer = Atomics.load(this.#words, TableWord.deadLetterWriter);
		if (writer === self) return true;
		if (writer !== 0 && !isGone(writer)) return false;
		return Atomics.compareExchange(this.#words, TableWord.deadLetterWriter, writer, self) === writer;
	}

	/** Marks the row as used: it is not reused for another partition within the next minute. */
	use(row: number, nowMs: number): void {
		this.#floats[this.#geometry.float(row) + RowFloat.usedMs] = nowMs;
	}

	/** Removes the slot from the row's users. Its shard must not write to the row afterwards. */
	drop(row: number, slot: number): void {
		dropUser(this.#words, this.#geometry.word(row), slot);
	}

	topic(row: number): string {
		const at = this.#geometry.byte(row) + PositionLayout.topicOffset;
		const end = at + this.#words[this.#geometry.word(row) + RowWord.topicBytes]!;
		// A copy: TextDecoder does not accept shared memory.
		return decoder.decode(new Uint8Array(this.#bytes.subarray(at, end)));
	}

	partition(row: number): number {
		return this.#words[this.#geometry.word(row) + RowWord.partition]!;
	}

	/** The highest position of all shards: the first offset that no shard has delivered. Null while the start is unknown. */
	position(row: number): number | null {
		if (Atomics.load(this.#words, this.#geometry.word(row) + RowWord.state) !== RowState.started) return null;
		const at = this.#geometry.float(row);
		let highest = this.#floats[at + RowFloat.start]!;
		for (let slot = 0; slot < PositionLayout.slotsMax; slot++)
			highest = Math.max(highest, this.#floats[at + this.#geometry.delivered + slot]!);
		return highest;
	}

	/**
	 * Where a shard that started at `sinceMs` (`monotonicMs`) begins: where the other shards are, or at the partition's start if
	 * the shard is older than that start, since its clients were connected before the first record.
	 */
	positionSince(row: number, sinceMs: number): number | null {
		const at = this.#geometry.float(row);
		const position = this.position(row);
		return position !== null && this.#floats[at + RowFloat.startedMs]! >= sinceMs ? this.#floats[at + RowFloat.start]! : position;
	}

	/** Epoch of the leader that wrote the record before `position`; -1 = unknown, also while another shard is changing it. Lock-free. */
	epochAt(row: number, position: number): number {
		const float = this.#geometry.float(row) + RowFloat.epochFrom;
		const from = this.#floats[float]!;
		const epoch = Atomics.load(this.#words, this.#geometry.word(row) + RowWord.epoch);
		return this.#floats[float] === from && position >= from ? epoch : -1;
	}

	delivered(row: number, slot: number): number {
		return this.#floats[this.#geometry.float(row) + this.#geometry.delivered + slot]!;
	}

	setDelivered(row: number, slot: number, position: number): void {
		this.#floats[this.#geometry.float(row) + this.#geometry.delivered + slot] = position;
	}

	/**
	 * Sets the positions of all shards to `position`, because the log or its end was lost or recreated. Call from a shard that reads the
	 * partition. If several do, each calls it; a cell that a slower shard has reset is correct again after its shard's next record.
	 */
	restartAt(row: number, position: number): void {
		const at = this.#geometry.float(row);
		this.#floats.fill(0, at + this.#geometry.delivered, at + this.#geometry.delivered + PositionLayout.slotsMax);
		this.#floats[at + RowFloat.start] = position;
		this.#floats[at + RowFloat.epochFrom] = Number.POSITIVE_INFINITY;
	}

	owner(row: number): number {
		return Atomics.load(this.#words, this.#geometry.word(row) + RowWord.owner);
	}

	/** Changes the owner atomically. Returns false if it was not `from`. */
	changeOwner(row: number, from: number, to: number): boolean {
		return Atomics.compareExchange(this.#words, this.#geometry.word(row) + RowWord.owner, from, to) === from;
	}

	/** The slot's intent: see PositionIntent. */
	intent(slot: number): PositionIntent {
		return new PositionIntent(this, this.#words, this.#floats, this.#geometry.intent(slot));
	}
}
