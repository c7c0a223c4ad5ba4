import { readFileSync } from "node:fs";
import { cpuMs, getJson, parentOf, pssBytes, wakeUps } from "@shardcast/testkit";

export interface ServerProcess {
	/** "supervisor", "balancer", "shard 0", … */
	readonly name: string;
	readonly pid: number;
}

export interface ProcessUsage extends ServerProcess {
	readonly cpuMs: number;
	readonly pssBytes: number;
}

export interface ShardConnections {
	readonly id: number;
	readonly connections: number;
}

/** The part of GET /health that the load test reads; another server may answer with less. */
interface Health {
	readonly shards?: readonly { readonly id: number; readonly pid: number; readonly connections: number }[];
	readonly balancer?: { readonly pid: number };
}

/**
 * The processes of the server under load as its /health names them, and the supervisor that started them. The kernel's
 * account of their CPU and memory is read, not their own: it includes the time that the kernel spends for them.
 */
export class Servers {
	readonly processes: readonly ServerProcess[];
	readonly #httpUrl: string;

	private constructor(httpUrl: string, processes: readonly ServerProcess[]) {
		this.#httpUrl = httpUrl;
		this.processes = processes;
	}

	/**
	 * Without processes when the server has no /health of this form, or runs elsewhere (in a container its pids are those of another
	 * namespace): then nothing is known of its cost. On another machine (`isLocal` false) its pids are not looked up here, where they may
	 * be those of anything.
	 */
	static async find(httpUrl: string, isLocal = true): Promise<Servers> {
		let health: Health;
		try {
			health = await getJson<Health>(`${httpUrl}/health`);
		} catch {
			return new Servers(httpUrl, []); // another kind of server: load it all the same
		}
		const balancerPid = health.balancer?.pid ?? 0;
		const balancer = { name: "balancer", pid: balancerPid };
		const shards = (health.shards ?? []).map(({ id, pid }) => ({ name: `shard ${id}`, pid }));
		// Pid 0 stands for no process: one that is down, or the balancer that a single shard does without.
		const processes = [...supervisorOf(balancerPid), balancer, ...shards].filter(({ pid }) => pid > 0);
		return new Servers(httpUrl, isLocal && processes.every(isHere) ? processes : []);
	}

	async shardConnections(): Promise<ShardConnections[]> {
		if (this.processes.length === 0) return [];
		const health = await getJson<Health>(`${this.#httpUrl}/health`);
		return (health.shards ?? []).map(({ id, connections }) => ({ id, connections }));
	}

	/** CPU time so far, summed over all processes. */
	cpuMs(): number {
		return this.processes.reduce((sum, { pid }) => sum + cpuMs(pid), 0);
	}

	cpuMsByProcess(): number[] {
		return this.processes.map(({ pid }) => cpuMs(pid));
	}

	/** How often their event loops were woken up so far, summed over all processes. */
	wakeUps(): number {
		return this.processes.reduce((sum, { pid }) => sum + wakeUps(pid), 0);
	}

	pssBytes(): number {
		return this.processes.reduce((sum, { pid }) => sum + pssBytes(pid), 0);
	}

	/** CPU time since `before` (from `cpuMsByProcess`) and memory now, of each process that is still there. */
	usageSince(before: readonly number[]): { usage: ProcessUsage[]; gone: ServerProcess[] } {
		const usage: ProcessUsage[] = [];
		const gone: ServerProcess[] = [];
		for (const [index, process] of this.processes.entries()) {
			try {
				usage.push({ ...process, cpuMs: cpuMs(process.pid) - before[index], pssBytes: pssBytes(process.pid) });
			} catch {
				gone.push(process); // it died under the load; the caller says so
			}
		}
		return { usage, gone };
	}
}

/** Whether this pid is a program of this machine: in another namespace it may be none, or here a thread of the kernel. */
function isHere({ pid }: ServerProcess): boolean {
	try {
		return pssBytes(pid) > 0;
	} catch {
		return false;
	}
}

/** The balancer's parent, when it is a shardcast supervisor and not a shell. */
function supervisorOf(balancerPid: number): ServerProcess[] {
	try {
		const pid = parentOf(balancerPid);
		return readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("shardcast") ? [{ name: "supervisor", pid }] : [];
	} catch {
		return []; // not on this machine's /proc
	}
}

/** Largest and smallest shard, as a share of the mean, in percent. */
export function spreadPercent(shards: readonly ShardConnections[]): number {
	const counts = shards.map(({ connections }) => connections);
	const mean = counts.reduce((sum, count) => sum + count, 0) / counts.length;
	return mean > 0 ? ((Math.max(...counts) - Math.min(...counts)) / mean) * 100 : 0;
}
