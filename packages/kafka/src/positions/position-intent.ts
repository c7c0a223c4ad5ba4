import { IntentFloat, IntentWord } from "./position-descriptor.ts";
import type { PositionTable } from "./position-table.ts";

/**
 * Announces the record that a shard is about to put on the bus. A record and the position after it are stored in two places, and a
 * process can die between the two writes. So the shard first writes the position and the current tail of its ring here. If it dies,
 * its successor looks at the tail: if it has moved, the record is on the bus; if not, it never will be.
 *
 * **One writer: the slot's shard. Readers: its successors, after its process has been reaped.**
 */
export class PositionIntent {
	readonly #table: PositionTable;
	readonly #words: Int32Array;
	readonly #floats: Float64Array;
	readonly #word: number;
	readonly #float: number;

	/** @param bytes offset of the intent. */
	constructor(table: PositionTable, words: Int32Array, floats: Float64Array, bytes: number) {
		this.#table = table;
		this.#words = words;
		this.#floats = floats;
		this.#word = bytes >> 2;
		this.#float = bytes >> 3;
	}

	/**
	 * Call before the commit on this shard's ring that moves `row` to `position`. Makes the sequence number odd, which means "in
	 * progress", even if another shard has changed it by settling the intent of an earlier incarnation.
	 */
	declare(row: number, position: number, tailBefore: number): void {
		const words = this.#words;
		words[this.#word + IntentWord.row] = row;
		words[this.#word + IntentWord.tailBefore] = tailBefore;
		this.#floats[this.#float + IntentFloat.position] = position;
		Atomics.store(words, this.#word + IntentWord.sequence, (words[this.#word + IntentWord.sequence]! + 1) | 1);
	}

	/** Call when the record is on the bus and its position is written. */
	done(): void {
		const at = this.#word + IntentWord.sequence;
		Atomics.store(this.#words, at, (this.#words[at]! + 1) & ~1);
	}

	/**
	 * Completes the intent of a dead shard. Any successor may call it; the slot's next incarnation must, before it publishes anything.
	 *
	 * The position goes into the settler's cell, not into the dead shard's. Otherwise a settler that is paused here could overwrite what
	 * that slot's next incarnation has written since.
	 * @param tail returns the tail of the dead shard's ring.
	 * @param settler the slot of the calling shard.
	 */
	settle(tail: () => number, settler: number): void {
		const words = this.#words;
		const at = this.#word + IntentWord.sequence;
		const sequence = Atomics.load(words, at);
		if ((sequence & 1) === 0) return;
		const row = words[this.#word + IntentWord.row]!;
		const position = this.#floats[this.#float + IntentFloat.position]!;
		const isOut = tail() !== words[this.#word + IntentWord.tailBefore]!;
		// Another shard has settled it meanwhile, and the ring may have moved on.
		if (Atomics.load(words, at) !== sequence) return;
		if (isOut && this.#table.delivered(row, settler) < position) this.#table.setDelivered(row, settler, position);
		Atomics.compareExchange(words, at, sequence, (sequence + 1) | 0);
	}
}
