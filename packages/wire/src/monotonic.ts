/**
 * Difference between CLOCK_MONOTONIC and this thread's `performance.now()`. Reads the clocks in the order `now`, `hrtime`, `now` several times
 * and takes the closest pair: a preemption between two reads would otherwise make the offset wrong for the life of the thread.
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
