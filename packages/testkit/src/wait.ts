import { setTimeout as sleep } from "node:timers/promises";

interface WaitOptions {
	readonly deadlineMs: number;
	/** Description of the condition, for the error message. */
	readonly what: string;
	/** Fixed; by default 10 ms at first and a tenth of what has passed later, up to 50 ms: what is asked for, such as metrics, costs CPU. */
	readonly everyMs?: number;
}

/**
 * Deadlines of a second or more are multiplied by this, since machines are slow at times, above all in CI. A deadline only ends a failing test,
 * so a longer one costs a passing run nothing.
 */
const deadlineFactor = process.env.CI === "true" ? 4 : 2;

/** A deadline in milliseconds, multiplied as in `waitFor`. For code with its own waiting, such as a browser. */
export function scaledDeadline(deadlineMs: number): number {
	return deadlineMs >= 1000 ? deadlineMs * deadlineFactor : deadlineMs;
}

/**
 * Waits until `condition` is true (or any truthy value, which is returned). A condition that throws counts as "not yet";
 * its last error is the cause of the one thrown at the deadline. The only way that tests wait: never for a fixed time.
 */
export async function waitFor<T>(condition: () => T | Promise<T>, options: WaitOptions): Promise<NonNullable<T>> {
	const deadlineMs = scaledDeadline(options.deadlineMs);
	const beganMs = performance.now();
	const endsMs = beganMs + deadlineMs;
	let cause: unknown;
	for (;;) {
		try {
			const value = await condition();
			if (value) return value;
			cause = undefined;
		} catch (error) {
			cause = error;
		}
		const nowMs = performance.now();
		if (nowMs >= endsMs) {
			const why = cause instanceof Error ? `: ${cause.message}` : "";
			throw new Error(`${options.what}: not within ${deadlineMs} ms${why}`, { cause });
		}
		await sleep(options.everyMs ?? Math.min(50, Math.max(10, (nowMs - beganMs) / 10)));
	}
}
