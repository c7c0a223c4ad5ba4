/** What each member's process is known to have had acknowledged, in memory that outlives it. */
export class Lives {
	#words;

	/** The first 8 bytes are the clock's. */
	constructor(buffer) {
		this.#words = new Int32Array(buffer, 8);
	}

	static bytes = 4096;

	acknowledged(slot, count) {
		Atomics.store(this.#words, slot, count);
	}

	clear(slot) {
		Atomics.store(this.#words, slot, 0);
	}

	acknowledgedBy(slot) {
		return Atomics.load(this.#words, slot);
	}
}
