import type { Config, NameOf } from "@shardcast/config";
import { autoCount, ConfigError } from "@shardcast/config";
import type { AvailableCpus } from "@shardcast/process";
import { formatCpuList } from "@shardcast/process";

/** The CPU of each shard. */
export interface Topology {
	readonly shards: readonly { readonly slot: number; readonly core: number }[];
	/** Available CPUs. */
	readonly cpus: readonly number[];
	/** Number of CPUs that the cluster may keep busy, also by quota. If it is less than `cpus`, shards are throttled. */
	readonly cpuCount: number;
	/** The source of that number, for the banner. */
	readonly source: string;
	/** There are more shards than CPUs, so some share one. */
	readonly wraps: boolean;
}

/** CPUs for shards now: those of the plan that are still available, and what has come, unless CPUs were chosen. Those of the plan if none is left. */
export function cpusNow(
	{ cpus }: Topology,
	{ cpus: chosen, numa }: Pick<Config, "cpus" | "numa">,
	available: readonly number[],
): readonly number[] {
	const usable = chosen.length > 0 || numa >= 0 ? cpus.filter((cpu) => available.includes(cpu)) : available;
	return usable.length > 0 ? usable : cpus;
}

/** Number of shards with `--shards auto`: one for each CPU that the cluster may keep busy now, within `--shards-min` and `--shards-max`. */
export function autoShards(
	topology: Topology,
	config: Pick<Config, "cpus" | "numa" | "shardsMin" | "shardsMax">,
	{ cpus, count }: Pick<AvailableCpus, "cpus" | "count">,
): number {
	return withinBounds(Math.min(cpusNow(topology, config, cpus).length, count), config);
}

function withinBounds(shards: number, { shardsMin, shardsMax }: Pick<Config, "shardsMin" | "shardsMax">): number {
	return Math.min(Math.max(shards, shardsMin), shardsMax);
}

/** The CPU of a shard that is added later: the CPUs are used in the same order. */
export function coreOf({ shards }: Topology, cpus: readonly number[], slot: number): number {
	return cpus[(Math.max(0, cpus.indexOf(shards[0]!.core)) + slot) % cpus.length]!;
}

/**
 * Plans shards and their CPUs: one shard per available CPU, unless `--shards` is a number; with auto, within its bounds. With more shards than CPUs, CPUs are used several times.
 *
 * If a quota and no cpuset limits the process, the machine has more CPUs than it may keep busy, and often other containers with the same plan. If
 * all started with CPU 0, they would share the same CPUs, so the first one is chosen at random.
 *
 * @param nodeCpus CPUs of the chosen NUMA node; null = all nodes.
 * @param name returns an option's name for messages.
 * @throws ConfigError when `--cpus` names a CPU that is not available.
 */
export function planTopology(
	config: Pick<Config, "shards" | "shardsMin" | "shardsMax" | "cpus" | "numa">,
	available: AvailableCpus,
	nodeCpus: readonly number[] | null,
	name: NameOf,
	random: () => number = Math.random,
): Topology {
	const wanted = config.cpus.length > 0 ? config.cpus : available.cpus;
	const missing = wanted.filter((cpu) => !available.cpus.includes(cpu));
	if (missing.length > 0) {
		const one = missing.length === 1;
		throw new ConfigError([
			`${name("cpus")}: CPU ${formatCpuList(missing)} ${one ? "does" : "do"} not exist or may not be used; available: ${formatCpuList(available.cpus)}`,
		]);
	}
	const cpus = nodeCpus === null ? wanted : wanted.filter((cpu) => nodeCpus.includes(cpu));
	if (cpus.length === 0) {
		const list = formatCpuList(wanted);
		throw new ConfigError([`${name("numa")}: node ${config.numa} has none of the CPUs ${list}; choose another node or other --cpus`]);
	}

	const cpuCount = Math.min(cpus.length, available.count);
	const byCpus = config.shards === autoCount ? withinBounds(cpuCount, config) : cpuCount;
	const shards = config.shards > 0 ? config.shards : byCpus;
	const first = config.cpus.length === 0 && cpuCount < cpus.length ? Math.floor(random() * cpus.length) : 0;
	return {
		shards: Array.from({ length: shards }, (_, slot) => ({ slot, core: cpus[(first + slot) % cpus.length] })),
		cpus,
		cpuCount,
		source: config.cpus.length > 0 ? "--cpus" : config.numa >= 0 ? `NUMA node ${config.numa}` : available.source,
		wraps: shards > cpus.length,
	};
}
