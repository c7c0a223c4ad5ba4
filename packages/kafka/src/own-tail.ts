import type { BusLink } from "@shardcast/bus";
import { RingLayout } from "@shardcast/ring";

const tailWord = RingLayout.tailOffset >> 2;

/** The tail of this shard's own bus ring. Reading it is one atomic load. */
export class OwnTail {
	readonly #words: Int32Array;

	constructor({ u8 }: Pick<BusLink, "u8">) {
		this.#words = new Int32Array(u8.buffer, u8.byteOffset, u8.byteLength >> 2);
	}

	get position(): number {
		return Atomics.load(this.#words, tailWord);
	}
}
