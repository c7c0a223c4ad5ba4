/** A connection that goes on in the next turn. */
interface TurnTaker {
	takeTurn(): void;
}

/**
 * How many frames each of several connections may handle in a turn of the event loop, so that a turn stays short, and what has priority waits little
 * for it, however many connections have more than can be handled: together `framesPerTurn`, and each at least one.
 *
 * The part of each follows from how many of them had frames at once, in this turn or in those before. When those that came first have used up the turn,
 * as they do after a pause, the others have one frame each, and their part in the next turn. It also calls all connections that go on in a turn: a callback
 * of the event loop for each would cost more than the frame that each may handle when there are many. One owner, the gateway's loop.
 */
export class TurnShare {
	/** For each connection, at least 1. */
	frames: number;
	readonly #framesPerTurn: number;
	/** By all connections in this turn. */
	#handled = 0;
	#turnEnd: NodeJS.Immediate | null = null;
	/** Connections that have handled frames in this turn. */
	#busy = 0;
	/** Those that go on in the next turn. */
	#takers: TurnTaker[] = [];
	/** An empty list for the turn after that. */
	#spare: TurnTaker[] = [];
	/** Most at once, since none was. */
	#most = 0;
	/** The same, until none was. */
	#mostBefore = 0;

	constructor(framesPerTurn: number) {
		this.#framesPerTurn = framesPerTurn;
		this.frames = framesPerTurn;
	}

	/** Calls a connection in the next turn, in the order of these calls. */
	next(taker: TurnTaker): void {
		this.#turnEnd ??= setImmediate(this.#onTurnEnd);
		this.#takers.push(taker);
	}

	/** A connection is about to handle its first frame in this turn. */
	join(): void {
		this.#turnEnd ??= setImmediate(this.#onTurnEnd);
		if (++this.#busy > this.#most) this.#most = this.#busy;
		this.#update();
	}

	/** It has handled so many frames. */
	handled(frames: number): void {
		this.#handled += frames;
		if (this.#handled >= this.#framesPerTurn) this.frames = 1;
	}

	/** Its turn is over. */
	leave(): void {
		if (--this.#busy === 0) {
			this.#mostBefore = this.#most;
			this.#most = 0;
		}
		this.#update();
	}

	readonly #onTurnEnd = (): void => {
		this.#turnEnd = null;
		this.#handled = 0;
		this.#update();
		const takers = this.#takers;
		this.#takers = this.#spare;
		this.#spare = takers;
		let called = 0;
		try {
			while (called < takers.length) takers[called++]!.takeTurn();
		} finally {
			if (called < takers.length) this.#putOff(takers.slice(called));
			takers.length = 0;
		}
	};

	/** One has thrown an error: the others, as if each had its own callback, go on all the same, before those that asked meanwhile. */
	#putOff(takers: readonly TurnTaker[]): void {
		this.#turnEnd ??= setImmediate(this.#onTurnEnd);
		this.#takers.unshift(...takers);
	}

	#update(): void {
		const connections = Math.max(1, this.#busy, this.#mostBefore);
		this.frames = this.#handled >= this.#framesPerTurn ? 1 : Math.max(1, Math.floor(this.#framesPerTurn / connections));
	}
}
