import { readFileSync, readlinkSync } from "node:fs";
import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";

/**
 * Makes the kernel kill this process (SIGKILL) as soon as its parent dies, for whatever reason. Call it first: if the parent has died since
 * `expectedParentPid` was read, this process ends at once.
 *
 * "Parent" is the thread that started this process: start children from a main thread, not from a worker that ends.
 */
export function dieWithParent(expectedParentPid: number = process.ppid): void {
	if (libc().prctl(Linux.PR_SET_PDEATHSIG, Linux.SIGKILL, 0, 0, 0) === -1) throwErrno("prctl");
	// The parent may have died before the prctl call.
	if (process.ppid !== expectedParentPid) process.kill(process.pid, "SIGKILL");
}

/**
 * Start time of a process, in clock ticks since boot. Together with the pid it identifies a process uniquely, while a pid alone is reused.
 * Null when there is no such process.
 */
export function processStartTicks(pid: number): number | null {
	let stat: string;
	try {
		stat = readFileSync(`/proc/${pid}/stat`, "latin1");
	} catch {
		return null;
	}
	// The second field is the program's name in parentheses, which may contain spaces and parentheses.
	const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return Number(afterName[19]);
}

/** Identifies the pid namespace of this process, since pids of another container have no meaning here. "" without /proc. */
export function pidNamespace(): string {
	try {
		return readlinkSync("/proc/self/ns/pid");
	} catch {
		return "";
	}
}
