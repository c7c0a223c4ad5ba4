import type { SendReport } from "../generator.ts";

/** A thread this busy, or this late, measures itself and not the server. */
const busyUtilization = 0.9;
const lateLagMs = 30;
/** Garbage collection that takes this share of a thread's time, or pauses it for so long, shows in the latencies. */
const gcShareMax = 0.1;
const gcPauseMs = 30;
/** CPU of other programs, of all cores of the machine. */
const otherPercentMax = 25;

/**
 * CPU that the load generator may use, in cores: one per thread, and at most half of the machine's, since the server needs
 * the others. One core is never too much by itself.
 */
const coresFor = (threads: number, cores: number, isShared: boolean): number =>
	Math.max(1, Math.min(threads, isShared ? cores / 2 : cores));

interface Surroundings {
	/** Of the machine of the load generator. */
	readonly cores: number;
	/** The server is on the same machine (true). */
	readonly isShared?: boolean;
	/** CPU of other programs in the meantime, in percent of all cores. */
	readonly otherCpuPercent?: number;
}

/** Why the figures may be the load generator's and not the server's, which part of it, and what to do; empty = they are the server's. */
export function generatorWarnings(send: SendReport, { cores, isShared = true, otherCpuPercent = 0 }: Surroundings): string[] {
	const warnings: string[] = [];
	const usedCores = send.cpuMs / 1000 / send.seconds;
	if (usedCores > busyUtilization * coresFor(send.threads.length, cores, isShared))
		warnings.push(
			`the load generator used ${Math.round(usedCores * 100)} % of a core on a machine with ${cores}: its own CPU is the likely bottleneck, so the figures say little about the server; give it fewer --connections, a lower --rate, a machine with more cores, or several machines (--generator)`,
		);
	const worst = (pick: (thread: SendReport["threads"][number]) => number): number => {
		const values = send.threads.map(pick);
		return values.indexOf(Math.max(...values));
	};
	const named = (thread: number): string => `thread ${thread} (${send.threads[thread].role})`;
	const moreThreads = (thread: number): string =>
		thread === 0 ? "a lower --rate, or a second load test (--generator 1/2 and 2/2)" : "more --threads or --processes, or a lower --rate";

	const busiest = worst(({ utilization }) => utilization);
	const { utilization } = send.threads[busiest];
	if (utilization > busyUtilization)
		warnings.push(
			`the load generator's busiest thread was busy ${Math.round(utilization * 100)} % of the time, ${named(busiest)}: give it ${moreThreads(busiest)}`,
		);
	const collecting = worst(({ gcShare, gcMaxMs }) => Math.max(gcShare / gcShareMax, gcMaxMs / gcPauseMs));
	const { gcShare, gcMaxMs } = send.threads[collecting];
	if (gcShare > gcShareMax || gcMaxMs > gcPauseMs)
		warnings.push(
			`garbage collection took ${Math.round(gcShare * 100)} % of the time of ${named(collecting)} of the load generator, its longest pause ${Math.round(gcMaxMs)} ms: latencies are partly its own; give it ${moreThreads(collecting)}, or a smaller --size`,
		);
	const laggiest = worst(({ lagP99Ms }) => lagP99Ms);
	const { lagP99Ms } = send.threads[laggiest];
	if (lagP99Ms > lateLagMs)
		warnings.push(
			`the load generator's event loop was ${Math.round(lagP99Ms)} ms late (p99), in ${named(laggiest)}: latencies are partly its own; give it ${moreThreads(laggiest)}, or its own cores`,
		);
	if (send.lateMsMax > lateLagMs)
		warnings.push(
			`messages were sent up to ${Math.round(send.lateMsMax)} ms later than planned: the server took no more, or one sending thread is not enough (see above); give more --senders, a lower --rate, or a second load test (--generator)`,
		);
	if (otherCpuPercent > otherPercentMax)
		warnings.push(
			`other programs used ${Math.round(otherCpuPercent)} % of this machine's CPUs: the figures are partly theirs; stop them, or load from another machine`,
		);
	return warnings;
}
