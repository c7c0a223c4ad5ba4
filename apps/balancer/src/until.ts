import { setTimeout as sleep } from "node:timers/promises";

const lookMs = 5;

/** Resolves with true once `condition` holds, with false after `deadlineMs`. For steps of a stop, where 5 ms do not matter. */
export async function until(condition: () => boolean, deadlineMs: number): Promise<boolean> {
	const endsMs = performance.now() + deadlineMs;
	while (!condition()) {
		const leftMs = endsMs - performance.now();
		if (leftMs <= 0) return false;
		await sleep(Math.min(lookMs, leftMs));
	}
	return true;
}
