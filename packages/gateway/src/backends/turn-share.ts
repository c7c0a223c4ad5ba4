/**
 * How many frames each of several connections may handle in a turn of the event loop: together about `framesPerTurn`, so that a turn stays short, and what
 * has priority waits little for it, however many connections have more than can be handled.
 *
 * It follows from how many of them had frames at once, in this turn or in those before. One owner, the gateway's loop.
 */
export class TurnShare {
	/** For each connection, at least 1. */
	frames: number;
	readonly #framesPerTurn: number;
	/** Connections that have handled frames in this turn. */
	#busy = 0;
	/** Most at once, since none was. */
	#most = 0;
	/** The same, until none was. */
	#mostBefore = 0;

	constructor(framesPerTurn: number) {
		this.#framesPerTurn = framesPerTurn;
		this.frames = framesPerTurn;
	}

	/** A connection has handled its first frame in this turn. */
	join(): void {
		if (++this.#busy > this.#most) this.#most = this.#busy;
		this.#update();
	}

	/** Its turn is over. */
	leave(): void {
		if (--this.#busy === 0) {
			this.#mostBefore = this.#most;
			this.#most = 0;
		}
		this.#update();
	}

	#update(): void {
		const connections = Math.max(1, this.#busy, this.#mostBefore);
		this.frames = Math.max(1, Math.floor(this.#framesPerTurn / connections));
	}
}
