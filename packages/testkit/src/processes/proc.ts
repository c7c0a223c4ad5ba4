import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * Information about a process from /proc. Each reader throws (ENOENT, ESRCH) when the process is gone, except
 * `isAlive`. Linux only.
 */

/** Clock ticks in /proc/<pid>/stat: USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** Identifies a process even if its pid is reused. */
export interface ProcessIdentity {
	readonly pid: number;
	readonly startTicks: number;
}

/** Fields of /proc/<pid>/stat from `state` on; the name before them may contain spaces and brackets. */
function statFields(pid: number): string[] {
	const text = readFileSync(`/proc/${pid}/stat`, "utf8");
	return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

export function identify(pid: number): ProcessIdentity {
	return { pid, startTicks: Number(statFields(pid)[19]) };
}

/** Also false for a zombie, which has ended and was not reaped yet. */
export function isAlive(identity: ProcessIdentity): boolean {
	try {
		const fields = statFields(identity.pid);
		return Number(fields[19]) === identity.startTicks && fields[0] !== "Z" && fields[0] !== "X";
	} catch {
		return false; // no such process
	}
}

/** Whether its parent has reaped it. A zombie may still have threads that end, and with them sockets that listen. */
export function isReaped(identity: ProcessIdentity): boolean {
	try {
		return Number(statFields(identity.pid)[19]) !== identity.startTicks;
	} catch {
		return true; // no such process
	}
}

export function parentOf(pid: number): number {
	return Number(statFields(pid)[1]);
}

/** All descendants of `pid`, without `pid` itself. */
export function descendantsOf(pid: number): ProcessIdentity[] {
	const childrenOf = new Map<number, ProcessIdentity[]>();
	for (const name of readdirSync("/proc")) {
		if (!/^\d+$/.test(name)) continue;
		try {
			const fields = statFields(Number(name));
			const parent = Number(fields[1]);
			const siblings = childrenOf.get(parent) ?? [];
			siblings.push({ pid: Number(name), startTicks: Number(fields[19]) });
			childrenOf.set(parent, siblings);
		} catch {
			// it ended while the list was read
		}
	}
	const found: ProcessIdentity[] = [];
	const queue = [pid];
	for (let at = 0; at < queue.length; at++) {
		const children = childrenOf.get(queue[at]) ?? [];
		found.push(...children);
		queue.push(...children.map((child) => child.pid));
	}
	return found;
}

/** User and system time of the whole process, ended threads included, in steps of 10 ms. */
export function cpuTicksMs(pid: number): number {
	const fields = statFields(pid);
	return ((Number(fields[11]) + Number(fields[12])) * 1000) / ticksPerSecond;
}

/**
 * Time on a CPU of the threads that live now, from the scheduler, in nanosecond steps (up to one timer tick stale for a
 * thread that is running). The difference of two readings is right as long as no thread ended between them; where the
 * kernel keeps no schedstat, the 10 ms steps of /proc/<pid>/stat.
 */
export function cpuMs(pid: number): number {
	let nanoseconds = 0;
	for (const thread of readdirSync(`/proc/${pid}/task`)) {
		let text: string;
		try {
			text = readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8");
		} catch (error) {
			if (thread === String(pid)) {
				if ((error as NodeJS.ErrnoException).code === "ENOENT") return cpuTicksMs(pid);
				throw error;
			}
			continue; // the thread ended between the listing and the read
		}
		nanoseconds += Number(text.slice(0, text.indexOf(" ")));
	}
	return nanoseconds / 1e6;
}

/** Voluntary context switches of the main thread, which runs the event loop: the number of its wake-ups. */
export function wakeUps(pid: number): number {
	const match = /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
	if (match === null) throw new Error(`/proc/${pid}/status has no line "voluntary_ctxt_switches"`);
	return Number(match[1]);
}

/** Proportional set size: each shared page counted by its share, so the sum over processes is what they really take. */
export function pssBytes(pid: number): number {
	return smapsBytes(pid, "Pss");
}

/** Anonymous memory. Unlike Pss, it does not change when other processes of the same program start or end. */
export function anonymousBytes(pid: number): number {
	return smapsBytes(pid, "Anonymous");
}

function smapsBytes(pid: number, name: "Pss" | "Anonymous"): number {
	const match = new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
	if (match === null) throw new Error(`/proc/${pid}/smaps_rollup has no line "${name}"`);
	return Number(match[1]) * 1024;
}

export function openDescriptors(pid: number): number {
	return readdirSync(`/proc/${pid}/fd`).length;
}

/** Open descriptors of a process, by number and target: `12 socket:[4711]`. */
export function descriptorsOf(pid: number): Set<string> {
	const open = new Set<string>();
	for (const fd of readdirSync(`/proc/${pid}/fd`)) {
		try {
			open.add(`${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
		} catch {
			// Closed since the listing, such as the descriptor used for the listing.
		}
	}
	return open;
}

/** Descriptors that this process has opened since `before`. Those closed meanwhile do not count. */
export function descriptorsOpenedSince(before: ReadonlySet<string>): string[] {
	return [...descriptorsOf(process.pid)].filter((descriptor) => !before.has(descriptor));
}

/** CPUs that the process's first thread may run on, in the kernel's list format ("0", "0-1,3"). */
export function allowedCpus(pid: number): string {
	return /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

/** CPU time used by the whole machine, in steps of 10 ms. Subtract this program's time to get that of others. */
export function machineBusyMs(): number {
	const [user, nice, system, , , irq, softirq] = machineTicks();
	return ((user! + nice! + system! + irq! + softirq!) * 1000) / ticksPerSecond;
}

/** CPU time that the host of a virtual machine has given to others since the start, of all CPUs together, in milliseconds; 0 on a machine that is none. */
export function machineStolenMs(): number {
	return (machineTicks()[7]! * 1000) / ticksPerSecond;
}

/** The first line of /proc/stat. */
function machineTicks(): readonly number[] {
	return readFileSync("/proc/stat", "utf8").split("\n", 1)[0]!.trim().split(/\s+/).slice(1).map(Number);
}
