import { setTimeout as pause } from "node:timers/promises";

/** Pause between two attempts. */
const retryMs = 1;

/** How long a client waits for this shard to catch up with its position, or for a paused process. */
export const waitMsMax = 5000;

/** Calls `ask` now and then again in later turns of the event loop until it returns a value. Null = no value before the deadline. */
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
