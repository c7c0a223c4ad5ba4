import { withDeadline } from "@shardcast/process";

/** Waits for the work, at most until the deadline. Unfinished work is counted at the end of the drain. */
export async function withinDeadline(work: Promise<void>, deadlineMs: number): Promise<void> {
	await withDeadline(work, deadlineMs, "draining").catch(() => {});
}
