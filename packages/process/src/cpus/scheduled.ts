import { readdirSync, readFileSync } from "node:fs";

/** What the scheduler has done with a thread since it started. */
interface ScheduledThread {
	/** Time on a CPU. At most one timer tick stale while it runs. */
	readonly ranMs: number;
	/** Time in which it could have run but had no CPU. A wait is added when it ends. */
	readonly waitedMs: number;
	/** It runs, or waits for a CPU; it does not sleep and is not stopped. */
	readonly ready: boolean;
}

/** The threads of a process, by their ids. */
export type Scheduled = ReadonlyMap<string, ScheduledThread>;

/** Reads two files of /proc per thread: about 0.3 ms for a shard. @returns empty if there is no such process, or the kernel does not count this. Never throws. */
export function scheduled(pid: number): Scheduled {
	const threads = new Map<string, ScheduledThread>();
	for (const id of threadsOf(pid)) {
		try {
			const [ran, waited] = readFileSync(`/proc/${pid}/task/${id}/schedstat`, "latin1").split(" ").map(Number);
			const stat = readFileSync(`/proc/${pid}/task/${id}/stat`, "latin1");
			// The name, in parentheses before the state, may contain any character.
			const ready = stat[stat.lastIndexOf(")") + 2] === "R";
			threads.set(id, { ranMs: ran! / 1e6, waitedMs: waited! / 1e6, ready });
		} catch {
			// This thread has ended since they were listed; the others count.
		}
	}
	return threads;
}

function threadsOf(pid: number): readonly string[] {
	try {
		return readdirSync(`/proc/${pid}/task`);
	} catch {
		return [];
	}
}

/**
 * The longest time between two readings in which a thread of the process waited for a CPU. All threads count, since the main thread waits for
 * those that collect garbage.
 *
 * @param passedMs between the readings.
 */
export function waitedForCpu(before: Scheduled, now: Scheduled, passedMs: number): number {
	let longest = 0;
	for (const [id, thread] of now) {
		const earlier = before.get(id);
		if (earlier === undefined) continue;
		// The kernel counts a wait when it ends: until then the thread is ready, and has not run for the rest of the time.
		const goesOn = earlier.ready && thread.ready ? passedMs - (thread.ranMs - earlier.ranMs) : 0;
		longest = Math.max(longest, thread.waitedMs - earlier.waitedMs, goesOn);
	}
	return Math.min(passedMs, longest);
}
