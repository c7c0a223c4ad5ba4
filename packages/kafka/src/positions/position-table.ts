import { PositionLayout, RowFloat, RowState, RowWord, TableFloat, TableWord } from "./position-descriptor.ts";
import { PositionGeometry } from "./position-geometry.ts";
import { PositionIntent } from "./position-intent.ts";
import { dropUser, PositionRows } from "./position-rows.ts";

const decoder = new TextDecoder();

/** A shard's identity over its lives: what `owner` and `claim` hold. */
export function ownerOf(slot: number, incarnation: number): number {
	return (incarnation * PositionLayout.slotsMax + slot + 1) | 0;
}
export function slotOfOwner(owner: number): number {
	return (owner - 1) & (PositionLayout.slotsMax - 1);
}
export function incarnationOfOwner(owner: number): number {
	return (owner - 1 - slotOfOwner(owner)) / PositionLayout.slotsMax;
}

/** The shard that wants to change rows. */
export interface Claimant {
	/** `ownerOf` the shard in its present life. */
	readonly self: number;
	/** Whether that life is certainly over, its process reaped. Silence is no proof: a process that is only paused writes on when it goes on. */
	readonly isGone: (owner: number) => boolean;
}

/**
 * The position table over any shared bytes. **Each cell has one writer, as the descriptor says; anybody reads. Used on one
 * thread per process.** Rows are made and started by one shard at a time, between `claim` and its release.
 */
export class PositionTable {
	readonly rowsMax: number;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #bytes: Uint8Array;
	readonly #rows: PositionRows;
	readonly #geometry: PositionGeometry;

	/** @throws Error when these bytes are no table that this program can use: see PositionGeometry. */
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

	/** Whether some shard has taken up the first list of topics: partitions found after that are new, and begin at their start. */
	get scanned(): boolean {
		return Atomics.load(this.#words, TableWord.scanned) === 1;
	}
	setScanned(): void {
		Atomics.store(this.#words, TableWord.scanned, 1);
	}

	/** `Date.now()` of a look at the topics, not long before the last that any shard has had. */
	get lookedMs(): number {
		return this.#floats[TableFloat.lookedMs]!;
	}
	looked(atMs: number): void {
		if (atMs > this.lookedMs) this.#floats[TableFloat.lookedMs] = atMs;
	}

	/** The shard that changes rows at this moment; 0 = none. */
	get claimedBy(): number {
		return Atomics.load(this.#words, TableWord.claim);
	}

	/**
	 * Lets `change` find, make and start rows, alone. Never waits: null, and nothing is done, while another shard is at it, which takes
	 * microseconds unless its process is paused; try again in a while. The claim of a shard that is gone is taken over.
	 */
	claimed<T extends object | boolean | number>({ self, isGone }: Claimant, change: (rows: PositionRows) => T): T | null {
		const holder = Atomics.compareExchange(this.#words, TableWord.claim, 0, self);
		if (holder === self) throw new Error("the position table is claimed already by this shard");
		if (holder !== 0 && !(isGone(holder) && Atomics.compareExchange(this.#words, TableWord.claim, holder, self) === holder)) return null;
		try {
			return change(this.#rows);
		} finally {
			Atomics.compareExchange(this.#words, TableWord.claim, self, 0);
		}
	}

	/** Makes this shard the one that writes dead letters, unless one does that is not gone. True from then on, for as long as it lives. */
	claimDeadLetters({ self, isGone }: Claimant): boolean {
		const writer = Atomics.load(this.#words, TableWord.deadLetterWriter);
		if (writer === self) return true;
		if (writer !== 0 && !isGone(writer)) return false;
		return Atomics.compareExchange(this.#words, TableWord.deadLetterWriter, writer, self) === writer;
	}

	/** A shard still has use for the row: it is not given to another partition within the next minute. */
	use(row: number, nowMs: number): void {
		this.#floats[this.#geometry.float(row) + RowFloat.usedMs] = nowMs;
	}

	/** The slot's shard has no more use for the row, and will not write into it any more. */
	drop(row: number, slot: number): void {
		dropUser(this.#words, this.#geometry.word(row), slot);
	}

	topic(row: number): string {
		const at = this.#geometry.byte(row) + PositionLayout.topicOffset;
		const end = at + this.#words[this.#geometry.word(row) + RowWord.topicBytes]!;
		// A copy: a decoder takes no shared memory.
		return decoder.decode(new Uint8Array(this.#bytes.subarray(at, end)));
	}

	partition(row: number): number {
		return this.#words[this.#geometry.word(row) + RowWord.partition]!;
	}

	/** The offset that nobody has delivered yet: the highest of all shards. Null while not even the start is known. */
	position(row: number): number | null {
		if (Atomics.load(this.#words, this.#geometry.word(row) + RowWord.state) !== RowState.started) return null;
		const at = this.#geometry.float(row);
		let highest = this.#floats[at + RowFloat.start]!;
		for (let slot = 0; slot < PositionLayout.slotsMax; slot++)
			highest = Math.max(highest, this.#floats[at + this.#geometry.delivered + slot]!);
		return highest;
	}

	/**
	 * Where a shard that came to life at `sinceMs` (`monotonicMs`) begins: where its siblings are, unless the partition is younger than
	 * it. Then its clients were there before the first record, however late it has heard of the partition.
	 */
	positionSince(row: number, sinceMs: number): number | null {
		const at = this.#geometry.float(row);
		const position = this.position(row);
		return position !== null && this.#floats[at + RowFloat.startedMs]! >= sinceMs ? this.#floats[at + RowFloat.start]! : position;
	}

	/** Epoch of the leader that wrote the record before `position`; -1 = not known. Lock-free: while it is being changed it is not known. */
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
	 * The log was lost or created again, or its end was: what was delivered before counts no more. For a shard that reads the partition.
	 * Where several do, each finds out by itself; the cells of those that were faster are right again with their next record.
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

	/** True when the row was `from`'s and is now `to`'s. */
	changeOwner(row: number, from: number, to: number): boolean {
		return Atomics.compareExchange(this.#words, this.#geometry.word(row) + RowWord.owner, from, to) === from;
	}

	/** Says what is about to be put on the bus: see PositionIntent. */
	intent(slot: number): PositionIntent {
		return new PositionIntent(this, this.#words, this.#floats, this.#geometry.intent(slot));
	}
}
