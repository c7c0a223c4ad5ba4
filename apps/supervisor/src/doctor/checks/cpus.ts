import { availableCpus, formatCpuList } from "@shardcast/process";
import type { Topology } from "../../topology.ts";
import { type Finding, ok, type Subject, warning } from "../finding.ts";
import { type Machine, readText } from "../machine.ts";

const pinning: Subject = {
	id: "cpus",
	area: "CPUs",
	why: "each shard keeps one CPU busy; more shards than CPUs do the same work for more CPU time",
};
const quotas: Subject = {
	id: "cpu-quota",
	area: "CPUs",
	why: "when a quota is used up, the kernel stops all processes until the next period: clients see it as latency",
};
const exclusive: Subject = {
	id: "cpu-manager",
	area: "CPUs",
	why: "shards are pinned to CPUs; a container without exclusive CPUs pins to those that others use as well",
};
const throttling: Subject = { id: "cpu-throttled", area: "CPUs", why: quotas.why };

/** CPUs: how many there are for how many shards, and whether a control group takes them away. */
export function cpuFindings(machine: Machine, topology: Topology): Finding[] {
	const { cpus, quota } = availableCpus(machine.root);
	const shards = topology.shards.length;
	const found = `${shards} ${shards === 1 ? "shard" : "shards"} on ${topology.cpuCount} of the CPUs ${formatCpuList(topology.cpus)} (${topology.source})`;
	const count =
		shards > topology.cpuCount ? warning(pinning, found, `--shards ${topology.cpuCount}, or 0 for one per CPU`) : ok(pinning, found);
	return [count, ...quotaFindings(quota, cpus), ...throttled(machine)];
}

function quotaFindings(quota: number | null, cpus: readonly number[]): Finding[] {
	if (quota === null) return [ok(quotas, "there is no CPU quota")];
	const found = `the quota is ${quota} CPUs, the CPUs are ${formatCpuList(cpus)}`;
	const whole =
		Number.isInteger(quota) && quota >= 1
			? ok(quotas, found)
			: warning(
					quotas,
					`${found}: a part of a CPU is no use for a shard`,
					`a whole number of CPUs (docker run --cpus ${Math.max(1, Math.ceil(quota))}, resources.limits.cpu: "${Math.max(1, Math.ceil(quota))}")`,
				);
	const own =
		cpus.length <= Math.ceil(quota)
			? ok(exclusive, `the container has the CPUs ${formatCpuList(cpus)} for itself`)
			: warning(
					exclusive,
					`${found}: it may use ${cpus.length} CPUs, ${quota} at a time`,
					"docker run --cpuset-cpus; in Kubernetes, cpuManagerPolicy: static in the kubelet's configuration, and equal requests and limits with a whole number of CPUs",
				);
	return [whole, own];
}

/** Of the group that this program is in; a container sees its own. */
function throttled(machine: Machine): Finding[] {
	const text = readText(machine, "sys/fs/cgroup/cpu.stat") ?? readText(machine, "sys/fs/cgroup/cpu/cpu.stat") ?? "";
	const value = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
	const [periods, times] = [value("nr_periods"), value("nr_throttled")];
	if (periods === 0) return [];
	const found = `throttled in ${times} of ${periods} periods since the start of the control group`;
	// Now and then is usual, at the start of a program for example.
	if (times / periods < 0.01) return [ok(throttling, found)];
	return [warning(throttling, found, "a larger quota (docker run --cpus, resources.limits.cpu), or fewer --shards")];
}
