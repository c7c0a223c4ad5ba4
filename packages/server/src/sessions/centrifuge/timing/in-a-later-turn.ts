import { setTimeout as pause } from "node:timers/promises";

/** How soon what cannot be told now is asked again. */
const retryMs = 1;

/** How long a client may wait for this shard to come as far as it is, or for a paused process. */
export const waitMsMax = 5000;

/** Asks at once, and again in later turns of the loop, until there is an answer. Null = there was none by the deadline. */
export function inALaterTurn<T>(ask: () => T | null, deadlineMs: number): T | null | Promise<T | null> {
	return ask() ?? askAgain(ask, deadlineMs);
}

async function askAgain<T>(ask: () => T | null, deadlineMs: number): Promise<T | null> {
	const until = performance.now() + deadlineMs;
	for (;;) {
		await pause(retryMs);
		const answer = ask();
		if (answer !== null || performance.now() > until) return answer;
	}
}
