import type { BusStream } from "./bus-stream.ts";

/**
 * Streams that wait for their turn, each once. Adding and taking makes no object: a Set, and an array that is emptied, take memory for each round.
 * One owner. Bound: the streams that there are.
 */
export class StreamList {
	readonly #streams: (BusStream | null)[] = [];
	#at = 0;
	#count = 0;

	get isEmpty(): boolean {
		return this.#at === this.#count;
	}

	/** Does nothing for one that is in it, or in the other list. */
	add(stream: BusStream): void {
		if (stream.isListed) return;
		stream.isListed = true;
		this.#streams[this.#count++] = stream;
	}

	/** Takes out the one that has waited longest. */
	next(): BusStream | null {
		if (this.#at === this.#count) {
			this.#at = 0;
			this.#count = 0;
			return null;
		}
		const stream = this.#streams[this.#at]!;
		this.#streams[this.#at++] = null;
		stream.isListed = false;
		return stream;
	}
}
