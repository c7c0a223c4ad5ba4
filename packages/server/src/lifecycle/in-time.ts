import { withDeadline } from "@shardcast/process";

/** Waits for the work, but no longer than that; what was not done is counted at the end of the drain. */
export async function inTime(work: Promise<void>, deadlineMs: number): Promise<void> {
	await withDeadline(work, deadlineMs, "draining").catch(() => {});
}
