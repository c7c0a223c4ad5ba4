import { monitorEventLoopDelay, PerformanceObserver, performance } from "node:perf_hooks";

/** How busy a thread of the load generator was. */
export interface ThreadUsage {
	/** Share of the time that its event loop was not idle, 0 … 1. */
	readonly utilization: number;
	/** How late its event loop was: 99 of 100 times less. */
	readonly lagP99Ms: number;
	readonly lagMaxMs: number;
	/** Share of the time that garbage collection took, 0 … 1, and its longest pause. */
	readonly gcShare: number;
	readonly gcMaxMs: number;
}

const resolutionMs = 5;

/** Measures the thread that makes it, from `begin` on. */
export class UsageMeter {
	readonly #collections = new PerformanceObserver((list) => this.#collected(list.getEntries()));
	readonly #total = new Meter();
	readonly #interval = new Meter();

	/** @param intervals whether `takeInterval` will be asked: that meter wakes the thread up as well. */
	begin(intervals: boolean): void {
		this.#collections.observe({ entryTypes: ["gc"] });
		this.#total.begin();
		if (intervals) this.#interval.begin();
		else this.#interval.end();
	}

	/** Since the last call, or since `begin`. */
	takeInterval(): ThreadUsage {
		this.#collected(this.#collections.takeRecords());
		const usage = this.#interval.usage();
		this.#interval.begin();
		return usage;
	}

	/** Since `begin`; ends the measurement. */
	end(): ThreadUsage {
		this.#collected(this.#collections.takeRecords());
		this.#collections.disconnect();
		this.#interval.end();
		const usage = this.#total.usage();
		this.#total.end();
		return usage;
	}

	#collected(entries: readonly { readonly duration: number }[]): void {
		for (const { duration } of entries) for (const meter of [this.#total, this.#interval]) meter.collected(duration);
	}
}

/** Delays of the event loop can not be added up from one histogram into another, so that each stretch of time has its own. */
class Meter {
	readonly #lag = monitorEventLoopDelay({ resolution: resolutionMs });
	#startMs = 0;
	#idle = performance.eventLoopUtilization();
	#gcMs = 0;
	#gcMaxMs = 0;

	begin(): void {
		this.#lag.enable();
		this.#lag.reset();
		this.#startMs = performance.now();
		this.#idle = performance.eventLoopUtilization();
		this.#gcMs = this.#gcMaxMs = 0;
	}

	collected(ms: number): void {
		this.#gcMs += ms;
		this.#gcMaxMs = Math.max(this.#gcMaxMs, ms);
	}

	usage(): ThreadUsage {
		const late = (ns: number): number => (this.#lag.count === 0 ? 0 : Math.max(0, ns / 1e6 - resolutionMs));
		return {
			utilization: performance.eventLoopUtilization(this.#idle).utilization,
			lagP99Ms: late(this.#lag.percentile(99)),
			lagMaxMs: late(this.#lag.max),
			gcShare: this.#gcMs / Math.max(1, performance.now() - this.#startMs),
			gcMaxMs: this.#gcMaxMs,
		};
	}

	end(): void {
		this.#lag.disable();
	}
}
