interface ClientIdsParts {
	/** Of this process among those of the gateway, 0 to 63: the upper 6 bits of its ids. */
	readonly slot: number;
	readonly isUsed: (id: number) => boolean;
	/** Seconds since 1970, for the first id. */
	readonly unixTime: number;
}

const slotBits = 6;
const counts = 2 ** (32 - slotBits);

/** The slot of the process whose client this is. */
export function slotOfClient(id: number): number {
	return id >>> (32 - slotBits);
}

/** A process that has not given more ids per second than this until it ended repeats none of them when it is started again. */
const idsPerSecond = 1024;

/**
 * Gives clients their ids, never 0. An id comes again only after all others of the process, 67 million, so that no frame for the previous client with
 * it is still on its way. One owner.
 */
export class ClientIds {
	readonly #isUsed: (id: number) => boolean;
	readonly #base: number;
	#last: number;

	constructor({ slot, isUsed, unixTime }: ClientIdsParts) {
		this.#isUsed = isUsed;
		this.#base = slot * counts;
		this.#last = Math.floor(unixTime * idsPerSecond) % counts;
	}

	/** There must be fewer clients than ids. */
	next(): number {
		do this.#last = (this.#last + 1) % counts;
		while (this.#last === 0 || this.#isUsed(this.#base + this.#last));
		return this.#base + this.#last;
	}
}
