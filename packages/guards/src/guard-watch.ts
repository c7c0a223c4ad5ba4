import { availableCpus, type MemoryUse, memoryUse } from "@shardcast/process";
import {
	type BoardRow,
	clusterGuards,
	type GuardName,
	type GuardState,
	type GuardWords,
	guardAction,
	guardAmount,
	guardSentence,
	guardUnit,
	type Scoreboard,
	ShardState,
	shardGuards,
} from "@shardcast/scoreboard";
import type { Log } from "@shardcast/telemetry";
import { Heartbeat, monotonicMs } from "@shardcast/wire";
import { CpuUse } from "./cpu-use.ts";
import { Guard } from "./guard.ts";
import { type GuardConfig, guardRule } from "./guard-rules.ts";
import { SharedMemoryUse } from "./shared-memory-use.ts";

const lookMs = 1000;
/** Looks between readings of the quota, which an administrator may change while the container runs. */
const cpusReadEvery = 30;

/** What is measured outside the scoreboard. */
export interface GuardMeasures {
	/** How many CPUs the processes may use together: the quota, or all of them. */
	readonly cpus: () => number;
	/** CPU time of this process, if it has no row with it. */
	readonly ownCpuMs: () => number;
	readonly memory: () => MemoryUse | null;
	/** Percent of shared memory that others use; null = unknown, or none is used. */
	readonly sharedMemory: () => number | null;
}

interface GuardWatchParts {
	readonly board: Scoreboard;
	readonly config: GuardConfig;
	readonly measures: GuardMeasures;
	readonly log: Pick<Log, "warn" | "info">;
	/** Tells the console. */
	readonly tell: (level: "info" | "bad", text: string) => void;
	/** Monotonic; `monotonicMs` by default. */
	readonly nowMs?: () => number;
	/** What sentences call a shard, and all together. */
	readonly names?: { readonly process: string; readonly whole: string };
}

/** When a guard begins or stops to act. */
interface Change {
	readonly who: string;
	readonly shard?: number;
	readonly threshold: number;
	/** Since when it acted; null = it begins now. */
	readonly beganMs: number | null;
	readonly nowMs: number;
	/** It stops because its shard is gone. */
	readonly isRemoved?: boolean;
}

/** The guards of a shard or of the whole cluster. */
interface Guarded {
	readonly guards: ReadonlyMap<GuardName, Guard>;
	readonly cpu: CpuUse;
	incarnation: number;
}

/**
 * Watches the resources of a cluster, once a second, and shows in the scoreboard which guards act; balancer and shards obey. **One per cluster:** in the
 * supervisor, whose loop does not suffer from load, or in the process of a single shard.
 *
 * A look reads some small files of the kernel and the shards' rows: about half a millisecond.
 */
export class GuardWatch {
	readonly #parts: GuardWatchParts;
	readonly #nowMs: () => number;
	readonly #names: { readonly process: string; readonly whole: string };
	readonly #whole: Guarded = guarded(clusterGuards);
	/** By slot; bounded by their number. */
	readonly #shards = new Map<number, Guarded>();
	#config: GuardConfig;
	#cpus = 1;
	#looks = 0;
	#timer: NodeJS.Timeout | undefined;

	constructor(parts: GuardWatchParts) {
		this.#parts = parts;
		this.#config = parts.config;
		this.#nowMs = parts.nowMs ?? monotonicMs;
		this.#names = parts.names ?? { process: "shard", whole: "the cluster" };
	}

	start(): void {
		this.#timer ??= setInterval(() => this.look(), lookMs);
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	/** Applies from the next look on. */
	reload(config: GuardConfig): void {
		this.#config = config;
	}

	/** Call about once a second. */
	look(): void {
		const { board, measures } = this.#parts;
		const nowMs = this.#nowMs();
		if (this.#looks++ % cpusReadEvery === 0) this.#cpus = Math.max(0.01, measures.cpus());
		const rows = board.rows();
		const whole = this.#wholeValues(rows, nowMs);
		this.#observe(this.#whole, whole, { words: board.guards, who: this.#names.whole, nowMs });
		for (const [slot, shard] of this.#shards) {
			if (rows.some((row) => row.slot === slot)) continue;
			this.#ended(shard, board.row(slot), { nowMs, isRemoved: true });
			this.#shards.delete(slot);
		}
		for (const row of rows) this.#lookAt(row, rows.length, nowMs);
	}

	#wholeValues(rows: readonly BoardRow[], nowMs: number): ReadonlyMap<GuardName, number | null> {
		const { board, measures } = this.#parts;
		const times = new Map(rows.map((row) => [String(row.slot), row.get("cpuMs")]));
		times.set("balancer", board.balancer.get("cpuMs"));
		times.set("own", measures.ownCpuMs());
		const used = this.#whole.cpu.observe(times, this.#config.guardCpuWindowMs, nowMs);
		const cpu = used === null ? null : (100 * used) / this.#cpus;
		const memory = measures.memory();
		const memoryPercent = memory === null ? null : (100 * memory.usedBytes) / memory.limitBytes;
		return new Map<GuardName, number | null>([
			["cpu", cpu],
			["ingest_cpu", cpu],
			["memory", memoryPercent],
			["ingest_memory", memoryPercent],
			["shared_memory", measures.sharedMemory()],
		]);
	}

	#lookAt(row: BoardRow, shards: number, nowMs: number): void {
		let shard = this.#shards.get(row.slot);
		if (shard === undefined || shard.incarnation !== row.incarnation) {
			if (shard !== undefined) this.#ended(shard, row, { nowMs, isRemoved: false });
			shard = { ...guarded(shardGuards, shard?.guards), incarnation: row.incarnation };
			this.#shards.set(row.slot, shard);
		}
		const serves = row.state === ShardState.serving;
		const used = shard.cpu.observe(new Map([["own", row.get("cpuMs")]]), this.#config.guardCpuWindowMs, nowMs);
		// It has one CPU, or its part of a quota.
		const cpu = used === null ? null : (100 * used) / Math.min(1, this.#cpus / shards);
		// A loop that stands still cannot tell its delay.
		const lag = Math.max(row.get("loopLagP99Ms"), nowMs - row.get("heartbeatMs") - Heartbeat.everyMs);
		const values = new Map<GuardName, number | null>([
			["cpu", serves ? cpu : null],
			["loop_lag", serves ? lag : null],
			["descriptors", serves && row.get("openFiles") > 0 ? row.get("openFiles") : null],
		]);
		const details = {
			words: row.guards,
			who: `${this.#names.process} ${row.slot}`,
			nowMs,
			shard: row.slot,
			descriptorsMax: row.get("openFilesMax"),
		};
		this.#observe(shard, values, details);
	}

	/**
	 * The shard's process has been replaced or removed: the log says when. The words of a new process do not wait for this look: the supervisor ends what
	 * acts in them when it starts the process (`GuardWords.end`).
	 */
	#ended({ guards }: Guarded, row: BoardRow, at: { readonly nowMs: number; readonly isRemoved: boolean }): void {
		const who = `${this.#names.process} ${row.slot}`;
		for (const [name, { sinceMs: beganMs }] of guards) {
			if (beganMs === null) continue;
			const threshold = guardRule(name, this.#config, row.get("openFilesMax"))?.enter ?? 0;
			this.#report(name, null, { ...at, who, shard: row.slot, threshold, beganMs });
		}
	}

	#observe(
		{ guards }: Guarded,
		values: ReadonlyMap<GuardName, number | null>,
		at: { words: GuardWords; who: string; nowMs: number; shard?: number; descriptorsMax?: number },
	): void {
		const shown = new Map<GuardName, GuardState>();
		for (const [name, guard] of guards) {
			const value = values.get(name) ?? null;
			const rule = guardRule(name, this.#config, at.descriptorsMax);
			const beganMs = guard.sinceMs;
			if (guard.observe(value, rule, at.nowMs)) this.#report(name, value, { ...at, threshold: rule?.enter ?? 0, beganMs });
			shown.set(name, { sinceMs: guard.sinceMs ?? 0, value: value ?? 0, threshold: rule?.enter ?? 0, times: guard.times });
		}
		at.words.write(at.nowMs, shown);
	}

	#report(name: GuardName, value: number | null, at: Change): void {
		const { who, shard, threshold, beganMs, nowMs, isRemoved = false } = at;
		const { log, tell } = this.#parts;
		const unit = guardUnit(name);
		const refuses = guardAction(name) === "refuse";
		const measured = value === null ? "" : `: ${guardSentence(name)} ${guardAmount(value, unit)}`;
		const limit = threshold === 0 ? `guards.${name} is off` : `guards.${name}: ${guardAmount(threshold, unit)}`;
		const rounded = value === null ? null : Math.round(value * 10) / 10;
		const fields = { audit: "guard", guard: name, ...(shard === undefined ? {} : { shard }), value: rounded, threshold, unit };
		if (beganMs === null) {
			const text = `${who} ${refuses ? "refuses new clients" : "pauses reading from Kafka"}${measured} (${limit})`;
			log.warn({ ...fields, acts: true }, text);
			tell("bad", text);
			return;
		}
		const tookMs = Math.round(nowMs - beganMs);
		const seconds = Math.round(tookMs / 1000);
		const text = isRemoved
			? `${who} was removed after it had refused new clients for ${seconds} s (${limit})`
			: `${who} ${refuses ? "takes new clients" : "reads from Kafka"} again after ${seconds} s${measured} (${limit})`;
		log.info({ ...fields, acts: false, tookMs }, text);
		tell("info", text);
	}
}

/** @param earlier guards of the slot's last process, whose counts continue. */
function guarded(names: readonly GuardName[], earlier?: ReadonlyMap<GuardName, Guard>): Guarded {
	return { guards: new Map(names.map((name) => [name, new Guard(earlier?.get(name)?.times)])), cpu: new CpuUse(), incarnation: 0 };
}

/** What there is to measure on this machine. @param folder of the cluster's files in shared memory; null = there are none. */
export function machineMeasures({ folder, ownCpuMs }: { readonly folder: string | null; readonly ownCpuMs: () => number }): GuardMeasures {
	const shared = folder === null ? null : new SharedMemoryUse(folder);
	return {
		ownCpuMs,
		cpus: () => {
			const { cpus, quota } = availableCpus();
			return quota === null ? cpus.length : Math.min(quota, cpus.length);
		},
		memory: () => memoryUse(),
		sharedMemory: () => shared?.read() ?? null,
	};
}
