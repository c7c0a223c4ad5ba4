/**
 * What to add to this thread's `performance.now()` to get CLOCK_MONOTONIC. The clocks are read as `now`, `hrtime`, `now`, several times, and
 * the closest pair is taken: a thread that is preempted between two reads would be wrong by that time for the rest of its life.
 */
function measureMonotonicOffsetMs(): number {
	let closestMs = Number.POSITIVE_INFINITY;
	let offsetMs = 0;
	for (let attempt = 0; attempt < 16; attempt++) {
		const beforeMs = performance.now();
		const monotonicMs = Number(process.hrtime.bigint()) / 1e6;
		const afterMs = performance.now();
		if (afterMs - beforeMs >= closestMs) continue;
		closestMs = afterMs - beforeMs;
		offsetMs = monotonicMs - (beforeMs + afterMs) / 2;
	}
	return offsetMs;
}

// Measured once: hrtime.bigint() allocates, performance.now() does not.
const monotonicOffsetMs = measureMonotonicOffsetMs();

/** CLOCK_MONOTONIC in milliseconds, comparable between all processes and threads of this machine (unlike `performance.now()`). */
export function monotonicMs(): number {
	return performance.now() + monotonicOffsetMs;
}
