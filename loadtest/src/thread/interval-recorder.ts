import type { ThreadUsage } from "./thread-usage.ts";

/** Cuts the time of a load into intervals of the same length, for all threads and processes of a machine: their clock is the same. */
export interface SeriesClock {
	/** By the monotonic clock. */
	readonly startMs: number;
	readonly intervalMs: number;
}

/** What one thread saw in one interval. Intervals of a thread come in order; one in which nothing was done may be missing. */
export interface IntervalPart {
	readonly index: number;
	/** Pairs: a latency in microseconds, and how often it was seen. */
	readonly latencies: Uint32Array;
	readonly usage: IntervalUsage;
}

/** How busy a thread was in an interval. */
export interface IntervalUsage extends ThreadUsage {
	/** Of a thread that is a process; 0 for others, which the main thread counts. */
	readonly cpuMs: number;
}

/** Below this, latencies are counted by the microsecond. */
const fineUs = 65_536;
/** From there on by the millisecond, up to two minutes; a longer one counts as that. */
const coarseMs = 120_000;

/**
 * Latencies of one thread by the time at which the messages came. As cheap as an array element per message: what is counted goes to
 * the main thread once per interval, as a list of the values that occurred.
 */
export class IntervalRecorder {
	readonly #clock: SeriesClock;
	readonly #usage: () => IntervalUsage;
	readonly #tell: (part: IntervalPart) => void;
	readonly #fine = new Uint32Array(fineUs);
	readonly #coarse = new Uint32Array(coarseMs);
	#fineTop = 0;
	#coarseTop = 0;
	#index = 0;
	#endMs: number;

	/** @param usage of the thread since it was asked last. */
	constructor(clock: SeriesClock, usage: () => IntervalUsage, tell: (part: IntervalPart) => void) {
		this.#clock = clock;
		this.#usage = usage;
		this.#tell = tell;
		this.#endMs = clock.startMs + clock.intervalMs;
	}

	record(nowMs: number, latencyMs: number): void {
		if (nowMs >= this.#endMs) this.advance(nowMs);
		const us = Math.max(0, Math.round(latencyMs * 1000));
		if (us < fineUs) {
			this.#fine[us]++;
			if (us >= this.#fineTop) this.#fineTop = us + 1;
			return;
		}
		const ms = Math.min(Math.round(latencyMs), coarseMs - 1);
		this.#coarse[ms]++;
		if (ms >= this.#coarseTop) this.#coarseTop = ms + 1;
	}

	/** Ends the interval, if it is over: to be called now and then, for times in which nothing comes. */
	advance(nowMs: number): void {
		if (nowMs < this.#endMs) return;
		this.flush();
		const { startMs, intervalMs } = this.#clock;
		this.#index = Math.floor((nowMs - startMs) / intervalMs);
		this.#endMs = startMs + (this.#index + 1) * intervalMs;
	}

	/** Tells what the interval has so far. */
	flush(): void {
		const pairs: number[] = [];
		take(this.#fine, this.#fineTop, (us, count) => pairs.push(Math.max(1, us), count));
		take(this.#coarse, this.#coarseTop, (ms, count) => pairs.push(ms * 1000, count));
		this.#fineTop = this.#coarseTop = 0;
		this.#tell({ index: this.#index, latencies: Uint32Array.from(pairs), usage: this.#usage() });
	}
}

function take(counts: Uint32Array, top: number, seen: (value: number, count: number) => void): void {
	for (let value = 0; value < top; value++) {
		if (counts[value] === 0) continue;
		seen(value, counts[value]);
		counts[value] = 0;
	}
}
