import type { RedisErrorKind } from "./redis-error.ts";

/** Upper bounds of the buckets, in milliseconds. */
const latencyBoundsMs = [0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 1000, 5000] as const;

/** Counters of a client since its start. One owner. */
export class RedisCounts {
	/** Commands with a reply, including errors. */
	answered = 0;
	/** Failed commands by reason. */
	readonly failed: Record<Exclude<RedisErrorKind, "login" | "unsuitable">, number> = {
		unavailable: 0,
		interrupted: 0,
		refused: 0,
		full: 0,
		closed: 0,
	};
	/** Lost connections. */
	lost = 0;
	/** Messages received through subscriptions. */
	messages = 0;
	readonly #latencies = latencyBoundsMs.map(() => 0);
	#latencyCount = 0;
	#latencySumMs = 0;

	onAnswer(tookMs: number): void {
		this.answered++;
		this.#latencyCount++;
		this.#latencySumMs += tookMs;
		const bucket = latencyBoundsMs.findIndex((bound) => tookMs <= bound);
		if (bucket >= 0) this.#latencies[bucket]++;
	}

	/** A cumulative histogram, as Prometheus expects it. */
	latency() {
		let sum = 0;
		const counts = this.#latencies.map((count) => {
			sum += count;
			return sum;
		});
		return { bounds: latencyBoundsMs, counts, count: this.#latencyCount, sum: this.#latencySumMs };
	}
}
