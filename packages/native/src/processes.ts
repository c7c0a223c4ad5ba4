import { readFileSync, readlinkSync } from "node:fs";
import { Linux } from "./constants.ts";
import { libc, throwErrno } from "./libc.ts";

/**
 * Has the kernel kill this process (SIGKILL) the moment its parent dies, however the parent dies. Call it first thing:
 * it sees a parent that has died since `expectedParentPid` was read and then leaves at once.
 *
 * "Parent" is the thread that started this process: start children from a main thread, not from a worker that ends.
 */
export function dieWithParent(expectedParentPid: number = process.ppid): void {
	if (libc().prctl(Linux.PR_SET_PDEATHSIG, Linux.SIGKILL, 0, 0, 0) === -1) throwErrno("prctl");
	// The parent may have died before the kernel knew of our wish.
	if (process.ppid !== expectedParentPid) process.kill(process.pid, "SIGKILL");
}

/**
 * When a process started, in clock ticks since boot: together with its pid this names it for good, while a pid alone is
 * given to another process some day. Null when there is no such process.
 */
export function processStartTicks(pid: number): number | null {
	let stat: string;
	try {
		stat = readFileSync(`/proc/${pid}/stat`, "latin1");
	} catch {
		return null;
	}
	// The second field is the program's name in parentheses and may hold spaces and parentheses itself.
	const afterName = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
	return Number(afterName[19]);
}

/** Names the pid namespace of this process: pids of another container say nothing here. Empty where there is no /proc. */
export function pidNamespace(): string {
	try {
		return readlinkSync("/proc/self/ns/pid");
	} catch {
		return "";
	}
}
