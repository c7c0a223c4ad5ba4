import { setTimeout as pause } from "node:timers/promises";

/** How long commands may run in one turn of the loop, in milliseconds. A shard whose loop does not turn for seconds is killed. */
export const usualTurnMs = 20;
/** How often to check whether a client has read its large replies, in milliseconds. Its next command waits for that. */
const checkMs = 5;
const readMsMax = 10_000;

const nothing = (): undefined => undefined;

/**
 * Divides the loop's time among the commands of all clients: a frame of 64 KiB may hold a thousand commands with replies of megabytes. When the
 * time of a turn is used up, the next command of each client waits for a later turn. The order is first come, first served, with at least one
 * command in each turn.
 *
 * Owned by the shard's loop. Bound: one wait for each client. Cost: a clock read for each command.
 */
export class CommandTurns {
	/** When the present turn ends; 0 = it has not started. */
	#untilMs = 0;
	/** The command that has waited may run, however little time is left. */
	#isGranted = false;
	readonly #waiting: (() => void)[] = [];
	readonly #turnMs: number;

	/** @param turnMs milliseconds; replaced in tests. */
	constructor(turnMs: number) {
		this.#turnMs = turnMs;
	}

	/** Whether the time is used up. The first call after a turn starts the next one. */
	get isOver(): boolean {
		if (this.#untilMs === 0) this.#begin();
		if (this.#isGranted) {
			this.#isGranted = false;
			return false;
		}
		return performance.now() > this.#untilMs;
	}

	/** Resolves at the start of a later turn. */
	next(): Promise<() => undefined> {
		if (this.#untilMs === 0) this.#begin();
		return new Promise((resolve) => {
			this.#waiting.push(() => resolve(nothing));
		});
	}

	/** Resolves in a later turn, when `isRead` returns true or after ten seconds. */
	async read(isRead: () => boolean): Promise<() => undefined> {
		for (const untilMs = performance.now() + readMsMax; !isRead() && performance.now() < untilMs; ) await pause(checkMs);
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
