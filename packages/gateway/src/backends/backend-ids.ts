/**
 * Gives backends their ids, from 1. The same address gets its former id again, and no other address gets it: frames for the former holder may
 * still be on their way.
 *
 * One owner. Bound: `addressesMax` addresses. Of more, the one that was asked for least recently is forgotten; it gets another id when it comes
 * back. After 2^32 ids they begin again, without those that are remembered.
 */
export class BackendIds {
	/** Addresses that were forgotten. */
	forgotten = 0;
	readonly #addressesMax: number;
	/** The least recently asked first. */
	readonly #ids = new Map<string, number>();
	readonly #idMax: number;
	#last = 0;
	#hasWrapped = false;

	/** @param idMax must be larger than `addressesMax`. */
	constructor(addressesMax = 4096, idMax = 0xffff_ffff) {
		this.#addressesMax = addressesMax;
		this.#idMax = idMax;
	}

	of(address: string): number {
		const id = this.#ids.get(address) ?? this.#next();
		this.#ids.delete(address);
		this.#ids.set(address, id);
		if (this.#ids.size > this.#addressesMax) {
			this.#ids.delete(this.#ids.keys().next().value!);
			this.forgotten++;
		}
		return id;
	}

	#next(): number {
		do {
			if (this.#last === this.#idMax) {
				this.#last = 0;
				this.#hasWrapped = true;
			}
			this.#last++;
		} while (this.#hasWrapped && this.#isRemembered(this.#last));
		return this.#last;
	}

	#isRemembered(id: number): boolean {
		for (const each of this.#ids.values()) if (each === id) return true;
		return false;
	}
}
