import { availableCpus, memoryLimitBytes } from "@shardcast/process";
import type { ShardOverload } from "@shardcast/scoreboard";
import { overload } from "@shardcast/selection";
import type { Candidate } from "./candidate.ts";

/** What the shards share. */
export interface Machine {
	/** Quota of the control group in CPUs; null = none. */
	readonly quota: number | null;
	readonly memoryBytes: number;
}

/** Measurements between readings of what the shards share, which an administrator may change while the container runs. */
const machineReadEvery = 30;

/** CPU time over less than this says little: shards write their counters five times a second. */
const intervalMs = 1000;

interface Before {
	readonly incarnation: number;
	readonly atMs: number;
	readonly cpuMs: number;
}

/**
 * How busy each shard is, for the strategy `adaptive`, from the scoreboard: its CPU time as part of what it can get, its resident memory as
 * part of an even share of the memory, and the delay of its event loop. Measured once a second. One owner. Bound: an entry per slot.
 *
 * Of remote shards nobody tells this. They count as busy as the shards here are on average, but never as overloaded: so they get their share by weight, and
 * take clients when all shards here are overloaded.
 */
export class ShardLoads {
	readonly #readMachine: () => Machine;
	#machine: Machine;
	#measurements = 0;
	readonly #before = new Map<number, Before>();
	#nextMs = Number.NEGATIVE_INFINITY;

	constructor(readMachine: () => Machine = thisMachine) {
		this.#readMachine = readMachine;
		this.#machine = readMachine();
	}

	/** Measures if a second has passed since. @param shows whether the rows show which shards are overloaded. */
	measure(all: readonly Candidate[], nowMs: number, shows: boolean): void {
		if (nowMs < this.#nextMs) return;
		this.#nextMs = nowMs + intervalMs;
		if (++this.#measurements % machineReadEvery === 0) this.#machine = this.#readMachine();
		const candidates = all.filter(({ row }) => row.remote === undefined);
		for (const candidate of candidates) {
			const { row } = candidate;
			candidate.cpu = this.#cpuOf(candidate, candidates, nowMs);
			candidate.memory = (row.get("residentBytes") * candidates.length) / this.#machine.memoryBytes;
			candidate.loopLagMs = row.get("loopLagP99Ms");
			row.overloads = shows ? overloadsOf(candidate) : [];
		}
		if (candidates.length < all.length) supposeLoads(all, candidates);
	}

	/** The next call measures again. Call it when members or rules have changed. */
	forget(slots: ReadonlySet<number>): void {
		for (const slot of this.#before.keys()) if (!slots.has(slot)) this.#before.delete(slot);
		this.#nextMs = Number.NEGATIVE_INFINITY;
	}

	/** 0 after its first measurement: a rate needs two. */
	#cpuOf({ row, incarnation, cpu }: Candidate, candidates: readonly Candidate[], nowMs: number): number {
		const now = { incarnation, atMs: nowMs, cpuMs: row.get("cpuMs") };
		const before = this.#before.get(row.slot);
		if (before !== undefined && before.incarnation === incarnation && nowMs - before.atMs < intervalMs) return cpu;
		this.#before.set(row.slot, now);
		if (before === undefined || before.incarnation !== incarnation) return 0;
		// Shards that are pinned to the same CPU share it, and all share the quota.
		const sharers = row.core < 0 ? 1 : candidates.filter((other) => other.row.core === row.core).length;
		const cpus = Math.min(1 / Math.max(1, sharers), (this.#machine.quota ?? Number.POSITIVE_INFINITY) / candidates.length);
		return Math.max(0, now.cpuMs - before.cpuMs) / (now.atMs - before.atMs) / cpus;
	}
}

/** Just below the threshold. */
const nearlyOverloaded = 0.99;

/** Gives the remote shards among all the average of the local ones that serve. */
function supposeLoads(all: readonly Candidate[], local: readonly Candidate[]): void {
	const known = local.filter(({ serving }) => serving);
	const mean = (of: (candidate: Candidate) => number) => known.reduce((sum, each) => sum + of(each), 0) / Math.max(1, known.length);
	const cpu = Math.min(
		mean((each) => each.cpu),
		overload.cpu * nearlyOverloaded,
	);
	const memory = Math.min(
		mean((each) => each.memory),
		overload.memory * nearlyOverloaded,
	);
	const loopLagMs = Math.min(
		mean((each) => each.loopLagMs),
		overload.loopLagMs * nearlyOverloaded,
	);
	for (const candidate of all) {
		if (candidate.row.remote === undefined) continue;
		candidate.cpu = cpu;
		candidate.memory = memory;
		candidate.loopLagMs = loopLagMs;
	}
}

function overloadsOf({ cpu, memory, loopLagMs }: Candidate): ShardOverload[] {
	const names: ShardOverload[] = [];
	if (cpu >= overload.cpu) names.push("CPU");
	if (memory >= overload.memory) names.push("memory");
	if (loopLagMs >= overload.loopLagMs) names.push("loop lag");
	return names;
}

function thisMachine(): Machine {
	return { quota: availableCpus().quota, memoryBytes: memoryLimitBytes() };
}
