import { setTimeout as pause } from "node:timers/promises";

/** Pause between two attempts, in milliseconds. */
const retryMs = 1;

/** How long a client waits, in milliseconds, until this shard has caught up with its position or a suspended process continues. */
export const waitMsMax = 5000;

/**
 * Calls `ask` now and in later turns of the event loop until it returns a value. Null = no value before the deadline.
 * @param waits resolves when another attempt is worthwhile, if that is known; it replaces the polling. Never rejects.
 */
export function inALaterTurn<T>(ask: () => T | null, deadlineMs: number, waits?: () => Promise<void> | null): T | null | Promise<T | null> {
	return ask() ?? askAgain(ask, deadlineMs, waits);
}

async function askAgain<T>(ask: () => T | null, deadlineMs: number, waits?: () => Promise<void> | null): Promise<T | null> {
	const until = performance.now() + deadlineMs;
	for (;;) {
		const waitsFor = waits?.() ?? null;
		if (waitsFor === null) await pause(retryMs);
		else if (!(await settlesBy(waitsFor, until))) return null;
		const answer = ask();
		if (answer !== null || performance.now() > until) return answer;
	}
}

async function settlesBy(promise: Promise<void>, until: number): Promise<boolean> {
	let timer: NodeJS.Timeout | undefined;
	const late = new Promise<boolean>((resolve) => {
		timer = setTimeout(() => resolve(false), Math.max(0, until - performance.now()));
	});
	try {
		return await Promise.race([promise.then(() => true), late]);
	} finally {
		clearTimeout(timer);
	}
}
