import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { ResidentMemory } from "./resident-memory.ts";

export interface ProcessSample {
	/** User and system CPU time of the process since it began. */
	readonly cpuMs: number;
	readonly residentBytes: number;
	/** How late timers were since the sample before: the 99th percentile, or of an idle process its latest heartbeat. */
	readonly loopLagP99Ms: number;
}

/** A process that used more of a core than this since the last sample is busy. */
const busyShare = 0.05;

/**
 * Measures the process that it runs in; one per process, sampled about once a second by the timer that also beats the heart.
 *
 * The event-loop histogram wakes the process `1000 / resolutionMs` times a second. Those wake-ups would be most of what an idle process costs, so
 * the histogram runs only in a process that is busy. The loop of an idle one is measured by its heartbeats, which come anyway.
 */
export class ProcessMonitor {
	static readonly #resolutionMs = 50;
	readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: ProcessMonitor.#resolutionMs });

	#memory: ResidentMemory | null = null;
	/** As they were at the last sample. */
	#cpuMs = 0;
	#sampledMs = 0;

	/** Opens what it needs, so that no `sample` needs a free descriptor. */
	start(): void {
		this.#memory ??= new ResidentMemory();
		this.#delay.enable();
	}

	/**
	 * Never throws. To be called between `start` and `stop`.
	 * @param beatLateMs the largest delay of a heartbeat since the last sample.
	 */
	sample(beatLateMs: number): ProcessSample {
		const { user, system } = process.cpuUsage();
		const cpuMs = (user + system) / 1000;
		const nowMs = performance.now();
		const isBusy = cpuMs - this.#cpuMs > (nowMs - this.#sampledMs) * busyShare;
		this.#cpuMs = cpuMs;
		this.#sampledMs = nowMs;
		// The histogram holds the time between two firings; what exceeds the resolution is the delay.
		const p99Ms = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e6;
		this.#delay.reset();
		if (isBusy) this.#delay.enable();
		else this.#delay.disable();
		return {
			cpuMs,
			residentBytes: this.#memory?.read() ?? 0,
			loopLagP99Ms: Math.max(beatLateMs, p99Ms - ProcessMonitor.#resolutionMs),
		};
	}

	stop(): void {
		this.#delay.disable();
		this.#memory?.close();
		this.#memory = null;
	}
}
