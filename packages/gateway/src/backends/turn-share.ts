/** A connection that goes on in the next turn. */
interface TurnTaker {
	takeTurn(): void;
}

/** What a connection may handle at least when its turn comes: to go on with each costs about as much as a frame. */
const framesAtLeast = 6;

/**
 * How many frames each of several connections may handle in a turn of the event loop, so that a turn stays short, and what has priority waits little
 * for it, however many connections have more than can be handled: together `framesPerTurn`.
 *
 * The part of each follows from how many of them had frames at once, in this turn or in those before, and is at least `framesAtLeast`. When those that
 * came first have used up the turn, the others go on in the next one, before those. Who is read for the first time then has one frame. It also calls all
 * connections that go on in a turn: a callback of the event loop for each would cost more. One owner, the gateway's loop.
 */
export class TurnShare {
	/** For each connection, at least 1. */
	frames: number;
	readonly #framesPerTurn: number;
	readonly #atLeast: number;
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
		this.#atLeast = Math.min(framesAtLeast, framesPerTurn);
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
			while (called < takers.length && this.#handled < this.#framesPerTurn) takers[called++]!.takeTurn();
		} finally {
			if (called < takers.length) this.#putOff(takers.slice(called));
			takers.length = 0;
		}
	};

	/** The turn is used up, or one has thrown an error: the others go on in the next turn, before those that asked meanwhile. */
	#putOff(takers: readonly TurnTaker[]): void {
		this.#turnEnd ??= setImmediate(this.#onTurnEnd);
		this.#takers.unshift(...takers);
	}

	#update(): void {
		const connections = Math.max(1, this.#busy, this.#mostBefore);
		this.frames = this.#handled >= this.#framesPerTurn ? 1 : Math.max(this.#atLeast, Math.floor(this.#framesPerTurn / connections));
	}
}
