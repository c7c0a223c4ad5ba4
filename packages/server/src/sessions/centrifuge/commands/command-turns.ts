import { setTimeout as pause } from "node:timers/promises";

/** How long commands may run in one turn of the loop. A shard whose loop stands still for seconds is killed. */
export const usualTurnMs = 20;
/** How often a client with large replies is looked at, and how long the next command waits for it to read them. */
const lookMs = 5;
const readMsMax = 10_000;

const nothing = (): undefined => undefined;

/**
 * Divides the time of the loop among the commands of all clients: a frame of 64 KiB may hold a thousand commands with replies of megabytes.
 * When a turn is over, the next command of a client waits for a later turn; first come, first served, and at least one command in each turn.
 *
 * One owner, the shard's loop. Bound: one wait for each client. Cost: a look at the clock for each command.
 */
export class CommandTurns {
	/** When the present turn is over; 0 = it has not begun. */
	#untilMs = 0;
	/** The one that has waited may go on, however short the turn. */
	#isGranted = false;
	readonly #waiting: (() => void)[] = [];
	readonly #turnMs: number;

	/** @param turnMs replaced in tests. */
	constructor(turnMs: number) {
		this.#turnMs = turnMs;
	}

	/** The first call after a turn begins the next one. */
	get isOver(): boolean {
		if (this.#untilMs === 0) this.#begin();
		if (this.#isGranted) {
			this.#isGranted = false;
			return false;
		}
		return performance.now() > this.#untilMs;
	}

	/** Resolves in a later turn, at its begin. */
	next(): Promise<() => undefined> {
		if (this.#untilMs === 0) this.#begin();
		return new Promise((resolve) => {
			this.#waiting.push(() => resolve(nothing));
		});
	}

	/** Resolves when `isRead`, or after ten seconds, in a later turn. */
	async read(isRead: () => boolean): Promise<() => undefined> {
		for (const untilMs = performance.now() + readMsMax; !isRead() && performance.now() < untilMs; ) await pause(lookMs);
		return this.next();
	}

	#begin(): void {
		this.#untilMs = performance.now() + this.#turnMs;
		setImmediate(this.#end);
	}

	readonly #end = (): void => {
		this.#untilMs = 0;
		this.#isGranted = false;
		const first = this.#waiting.shift();
		if (first === undefined) return;
		this.#begin();
		this.#isGranted = true;
		first();
	};
}
