import { type Outgoing, sizeOf } from "../backends/connection-writer.ts";
import type { LinkCounts } from "../backends/link-counts.ts";
import { Frame } from "../buffers/frame.ts";
import type { StreamSource } from "./bus-stream.ts";

/**
 * Frames as a stream of bytes, copied from where they are into what takes them. One owner. Bound: it takes frames out of their queue only as they are
 * asked for, so one more than was asked for is in it.
 */
export class FrameFeed implements StreamSource {
	readonly #next: () => Outgoing | null;
	readonly #counts: LinkCounts;
	/** In [first, first + count); the array keeps its memory. */
	readonly #queue: (Outgoing | null)[] = [];
	#first = 0;
	#count = 0;
	/** Bytes of the first that have gone. */
	#gone = 0;
	/** Bytes that have not gone. */
	#bytes = 0;

	/** @param next takes out what is next, with a reference; null = nothing waits. */
	constructor(next: () => Outgoing | null, counts: LinkCounts) {
		this.#next = next;
		this.#counts = counts;
	}

	get isEmpty(): boolean {
		return this.#bytes === 0;
	}

	ready(max: number): number {
		while (this.#bytes < max) {
			const outgoing = this.#next();
			if (outgoing === null) return this.#bytes;
			this.#queue[this.#first + this.#count++] = outgoing;
			this.#bytes += sizeOf(outgoing);
		}
		return max;
	}

	take(into: Uint8Array, at: number, count: number): void {
		this.#bytes -= count;
		this.#counts.sentBytes += count;
		let left = count;
		let to = at;
		while (left > 0) {
			const outgoing = this.#queue[this.#first]!;
			const size = sizeOf(outgoing);
			const piece = Math.min(left, size - this.#gone);
			if (outgoing instanceof Frame) {
				const from = Frame.headerAt + this.#gone;
				outgoing.bytes.copy(into, to, from, from + piece);
			} else outgoing.copy(into, to, this.#gone, this.#gone + piece);
			to += piece;
			left -= piece;
			this.#gone += piece;
			if (this.#gone < size) break;
			this.#gone = 0;
			this.#counts.sentFrames++;
			this.#queue[this.#first++] = null;
			this.#count--;
			if (outgoing instanceof Frame) outgoing.release();
		}
		if (this.#first === 0) return;
		this.#queue.copyWithin(0, this.#first, this.#first + this.#count);
		this.#queue.fill(null, this.#count, this.#first + this.#count);
		this.#first = 0;
	}

	/** @returns frames that have not gone as a whole, with their references. */
	stop(): Frame[] {
		this.#bytes = 0;
		this.#gone = 0;
		this.#count = 0;
		return this.#queue.splice(0).filter((outgoing) => outgoing instanceof Frame);
	}
}
