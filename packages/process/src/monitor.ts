import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { ResidentMemory } from "./resident-memory.ts";

export interface ProcessSample {
	/** User and system CPU time of the process since its start. */
	readonly cpuMs: number;
	readonly residentBytes: number;
	/** 99th percentile of timer delays since the previous sample; for an idle process, the largest delay of a heartbeat. */
	readonly loopLagP99Ms: number;
}

/** A process is busy if it used more of a core than this since the last sample. */
const busyShare = 0.05;

/**
 * Measures its process. One per process, sampled about once a second by the heartbeat timer.
 *
 * The event-loop histogram wakes the process `1000 / resolutionMs` times a second. That would be most of the cost of an idle process, so the
 * histogram runs only while the process is busy. In an idle one the delays of heartbeats are used.
 */
export class ProcessMonitor {
	static readonly #resolutionMs = 50;
	readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: ProcessMonitor.#resolutionMs });

	#memory: ResidentMemory | null = null;
	/** Values at the last sample. */
	#cpuMs = 0;
	#sampledMs = 0;

	/** Opens its files, so that `sample` needs no free descriptor. */
	start(): void {
		this.#memory ??= new ResidentMemory();
		this.#delay.enable();
	}

	/**
	 * Takes a sample. Never throws. Call only between `start` and `stop`.
	 * @param beatLateMs largest delay of a heartbeat since the last sample.
	 */
	sample(beatLateMs: number): ProcessSample {
		const { user, system } = process.cpuUsage();
		const cpuMs = (user + system) / 1000;
		const nowMs = performance.now();
		const isBusy = cpuMs - this.#cpuMs > (nowMs - this.#sampledMs) * busyShare;
		this.#cpuMs = cpuMs;
		this.#sampledMs = nowMs;
		// The histogram has the times between firings; the part above the resolution is the delay.
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
