import { IntentFloat, IntentWord } from "./position-descriptor.ts";
import type { PositionTable } from "./position-table.ts";

/**
 * What a shard is about to put on the bus, so that its successor knows how far it came. A record and the position behind it lie
 * in two places, and a process can die between the two; so the shard first writes down both the position and where its ring's
 * tail is. Afterwards, a tail that has moved means that the record is out, and one that has not means that it never will be.
 *
 * **One writer: the slot's shard. Readers: its successors, once it is certainly dead.**
 */
export class PositionIntent {
	readonly #table: PositionTable;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #word: number;
	readonly #float: number;

	/** @param bytes where it begins. */
	constructor(table: PositionTable, words: Int32Array, floats: Float64Array, bytes: number) {
		this.#table = table;
		this.#words = words;
		this.#floats = floats;
		this.#word = bytes >> 2;
		this.#float = bytes >> 3;
	}

	/**
	 * The next commit on the own ring takes `row` to `position`. An odd sequence number means: under way, also after another shard has settled
	 * what a former life left and so changed the number in between.
	 */
	declare(row: number, position: number, tailBefore: number): void {
		const words = this.#words;
		words[this.#word + IntentWord.row] = row;
		words[this.#word + IntentWord.tailBefore] = tailBefore;
		this.#floats[this.#float + IntentFloat.position] = position;
		Atomics.store(words, this.#word + IntentWord.sequence, (words[this.#word + IntentWord.sequence]! + 1) | 1);
	}

	/** The record is out and its position is written. */
	done(): void {
		const at = this.#word + IntentWord.sequence;
		Atomics.store(this.#words, at, (this.#words[at]! + 1) & ~1);
	}

	/**
	 * Finishes what a dead shard had begun. By its successors, any of them, and by its own next life before it publishes anything.
	 *
	 * The position goes into the cell of the settler, never into the dead shard's: a successor that is paused in the middle of this
	 * would overwrite what that slot's next life has written by then.
	 * @param tail of the dead shard's ring.
	 * @param settler the slot of the shard that settles.
	 */
	settle(tail: () => number, settler: number): void {
		const words = this.#words;
		const at = this.#word + IntentWord.sequence;
		const sequence = Atomics.load(words, at);
		if ((sequence & 1) === 0) return;
		const row = words[this.#word + IntentWord.row]!;
		const position = this.#floats[this.#float + IntentFloat.position]!;
		const isOut = tail() !== words[this.#word + IntentWord.tailBefore]!;
		// Whoever was faster has done it already, and the ring may have moved on since.
		if (Atomics.load(words, at) !== sequence) return;
		if (isOut && this.#table.delivered(row, settler) < position) this.#table.setDelivered(row, settler, position);
		Atomics.compareExchange(words, at, sequence, (sequence + 1) | 0);
	}
}
