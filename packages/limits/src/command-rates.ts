import type { CommandRates, RateBucket, RateOperation } from "@shardcast/config";

/** A kind of command that can be limited. */
export type RatedCommand = Exclude<keyof CommandRates, "enabled" | "total" | "default">;

/** One bucket of a kind of command. */
export interface PlannedBucket extends RateBucket {
	/** Among all buckets of the plan. */
	readonly index: number;
	/** Which bucket it is, whatever else the options have. */
	readonly name: string;
}

const none: readonly PlannedBucket[] = [];

/** Which buckets a command must find room in, by `client.rate_limit`: those of its kind, or the default ones, and those for all commands. */
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

/** The buckets of one connection. Each is the time when it will be full again. */
export class ConnectionBuckets {
	readonly plan: RatePlan;
	readonly #fullAtMs: Float64Array;

	constructor(plan: RatePlan) {
		this.plan = plan;
		this.#fullAtMs = new Float64Array(plan.size);
	}

	/** Takes one from each bucket of the command; false, and takes none, when one of them is empty. */
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

/** Sums of fractions may exceed the interval by so much, no more. */
const roundingMs = 1e-6;
