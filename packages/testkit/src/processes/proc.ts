import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/**
 * What the kernel says of a process, read from /proc. Each reader throws (ENOENT, ESRCH) when the process is gone, except
 * `isAlive`. Linux only.
 */

/** Clock ticks in /proc/<pid>/stat: USER_HZ, 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;

/** A process that cannot be mistaken for a later one with the same number. */
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

/** False for a zombie as well: it has ended, only its parent has not looked. */
export function isAlive(identity: ProcessIdentity): boolean {
	try {
		const fields = statFields(identity.pid);
		return Number(fields[19]) === identity.startTicks && fields[0] !== "Z" && fields[0] !== "X";
	} catch {
		return false; // no such process
	}
}

export function parentOf(pid: number): number {
	return Number(statFields(pid)[1]);
}

/** Children, their children and so on, without `pid` itself. */
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

/** How often the process's main thread, which runs its event loop, has gone to sleep: as often as it was woken up. */
export function wakeUps(pid: number): number {
	const match = /^voluntary_ctxt_switches:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
	if (match === null) throw new Error(`/proc/${pid}/status has no line "voluntary_ctxt_switches"`);
	return Number(match[1]);
}

/** Proportional set size: each shared page counted by its share, so the sum over processes is what they really take. */
export function pssBytes(pid: number): number {
	return smapsBytes(pid, "Pss");
}

/** Memory that is of no file: unlike Pss it does not change when other processes with the same program come and go. */
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

/** What the process has open, each by its number and what it is: `12 socket:[4711]`. */
export function descriptorsOf(pid: number): Set<string> {
	const open = new Set<string>();
	for (const fd of readdirSync(`/proc/${pid}/fd`)) {
		try {
			open.add(`${fd} ${readlinkSync(`/proc/${pid}/fd/${fd}`)}`);
		} catch {
			// closed since they were listed, as is the one that this process lists its own with
		}
	}
	return open;
}

/** What this process has open and had not `before`. What else it closes meanwhile, as other tests' sockets, does not count. */
export function descriptorsOpenedSince(before: ReadonlySet<string>): string[] {
	return [...descriptorsOf(process.pid)].filter((descriptor) => !before.has(descriptor));
}

/** CPUs that the process's first thread may run on, in the kernel's list format ("0", "0-1,3"). */
export function allowedCpus(pid: number): string {
	return /^Cpus_allowed_list:\s+(\S+)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? "";
}

/** CPU time that the whole machine has spent on anything, in steps of 10 ms: what is more than one's own is others' work. */
export function machineBusyMs(): number {
	const [user, nice, system, , , irq, softirq] = readFileSync("/proc/stat", "utf8")
		.split("\n", 1)[0]
		.trim()
		.split(/\s+/)
		.slice(1)
		.map(Number);
	return ((user + nice + system + irq + softirq) * 1000) / ticksPerSecond;
}
