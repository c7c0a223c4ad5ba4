import type { CommandRates, RateBucket, RateOperation } from "@shardcast/config";

/** A kind of command that can be limited. */
export type RatedCommand = Exclude<keyof CommandRates, "enabled" | "total" | "default">;

/** One bucket of a kind of command. */
interface PlannedBucket extends RateBucket {
	/** Index among all buckets of the plan. */
	readonly index: number;
	/** Identifies the bucket, independent of the other options. */
	readonly name: string;
}

const none: readonly PlannedBucket[] = [];

/** The buckets that a command uses, by `client.rate_limit`: those of its kind, or the default ones, and those for all commands. */
export class RatePlan {
	/** Number of all buckets. */
	readonly size: number;
	readonly #buckets = new Map<RatedCommand, readonly PlannedBucket[]>();

	/** @param commands the kinds that are limited; `total` does not count connect commands. */
	constructor(rates: CommandRates, commands: readonly RatedCommand[]) {
		let size = 0;
		const planned = (name: string, { enabled, buckets }: RateOperation): PlannedBucket[] =>
			enabled ? buckets.map((bucket) => ({ ...bucket, index: size++, name: `${name} ${bucket.rate}/${bucket.intervalMs}` })) : [];
		if (rates.enabled) {
			const total = planned("total", rates.total);
			for (const command of commands) {
				const own = rates[command];
				const buckets = planned(command, own?.enabled && own.buckets.length > 0 ? own : rates.default);
				const all = command === "connect" ? buckets : [...buckets, ...total];
				if (all.length > 0) this.#buckets.set(command, all);
			}
		}
		this.size = size;
	}

	get isOff(): boolean {
		return this.#buckets.size === 0;
	}

	of(command: RatedCommand): readonly PlannedBucket[] {
		return this.#buckets.get(command) ?? none;
	}
}

/** The buckets of a connection. Each is stored as the time when it will be full again. */
export class ConnectionBuckets {
	readonly plan: RatePlan;
	readonly #fullAtMs: Float64Array;

	constructor(plan: RatePlan) {
		this.plan = plan;
		this.#fullAtMs = new Float64Array(plan.size);
	}

	/** Takes one from each bucket of the command. If one of them is empty, takes none and returns false. */
	take(command: RatedCommand, nowMs: number): boolean {
		const buckets = this.plan.of(command);
		for (const bucket of buckets) if (this.#next(bucket, nowMs) - nowMs > bucket.intervalMs + roundingMs) return false;
		for (const bucket of buckets) this.#fullAtMs[bucket.index] = this.#next(bucket, nowMs);
		return true;
	}

	#next({ index, intervalMs, rate }: PlannedBucket, nowMs: number): number {
		return Math.max(this.#fullAtMs[index]!, nowMs) + intervalMs / rate;
	}
}

/** Largest rounding error of sums of fractions. */
const roundingMs = 1e-6;
