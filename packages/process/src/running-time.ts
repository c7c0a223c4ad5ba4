import { Heartbeat } from "@shardcast/wire";

/** The most that counts between two looks at the clock: a beat looks each 200 ms, and may be a little late. Less than any patience with a client. */
export const runningStepMsMax = Heartbeat.everyMs + 20;

/**
 * For how long this process's loop has run. While it stands still, because the process is stopped or a turn is long, it cannot notice who reads, so that
 * time counts as 220 ms at most. Whoever counts for how long a client has read nothing, or a backend has not announced itself, does so by this clock.
 *
 * One owner, on the loop. Call `nowMs` each 200 ms: time without a look does not count. Cost: a look at the system's clock.
 */
export class RunningTime {
	readonly #clock: () => number;
	#lookedMs: number;
	#nowMs = 0;

	/** @param clock in milliseconds; it never goes back. */
	constructor(clock: () => number) {
		this.#clock = clock;
		this.#lookedMs = clock();
	}

	readonly nowMs = (): number => {
		const lookedMs = this.#clock();
		this.#nowMs += Math.min(lookedMs - this.#lookedMs, runningStepMsMax);
		this.#lookedMs = lookedMs;
		return this.#nowMs;
	};
}
