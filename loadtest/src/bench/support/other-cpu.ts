import { cpus } from "node:os";
import { performance } from "node:perf_hooks";
import { machineBusyMs, machineStolenMs } from "@shardcast/testkit";

function ownCpuMs(): number {
	const { user, system } = process.cpuUsage();
	return (user + system) / 1000;
}

/**
 * Begins to watch what programs outside the bench use.
 * @returns tells it in percent of a core, given the CPU time that the bench's programs have taken since, without this process.
 */
export function watchOtherCpu(): (benchMs: number) => number {
	const [startedMs, machineMs, ownMs] = [performance.now(), machineBusyMs(), ownCpuMs()];
	return (benchMs) => {
		const othersMs = machineBusyMs() - machineMs - benchMs - (ownCpuMs() - ownMs);
		return (Math.max(0, othersMs) / (performance.now() - startedMs)) * 100;
	};
}

/** Begins to watch what the host of a virtual machine takes away. @returns tells it in percent of the time of all CPUs. */
export function watchStolenCpu(): () => number {
	const [startedMs, stolenMs] = [performance.now(), machineStolenMs()];
	return () => ((machineStolenMs() - stolenMs) / (performance.now() - startedMs) / cpus().length) * 100;
}
