import { type IntervalHistogram, monitorEventLoopDelay } from "node:perf_hooks";
import { ResidentMemory } from "./resident-memory.ts";

export interface ProcessSample {
	/** User and system CPU time of the process since it began. */
	readonly cpuMs: number;
	readonly residentBytes: number;
	/** How late timers were, 99th percentile since the sample before. */
	readonly loopLagP99Ms: number;
}

/**
 * Measures the process that it runs in; one per process, sampled about once a second by the timer that also beats the heart.
 *
 * The event-loop histogram wakes the process `1000 / resolutionMs` times a second, which is what an idle process then costs:
 * 50 ms is fine enough to see a loop that stalls, and costs half of what 20 ms does, which an idle cluster feels in each of its processes.
 */
export class ProcessMonitor {
	static readonly #resolutionMs = 50;
	readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: ProcessMonitor.#resolutionMs });

	#memory: ResidentMemory | null = null;

	/** Opens what it needs, so that no `sample` needs a free descriptor. */
	start(): void {
		this.#memory ??= new ResidentMemory();
		this.#delay.enable();
	}

	/** Never throws. To be called between `start` and `stop`. */
	sample(): ProcessSample {
		const { user, system } = process.cpuUsage();
		// The histogram holds the time between two firings; what exceeds the resolution is the delay.
		const p99Ms = this.#delay.count === 0 ? 0 : this.#delay.percentile(99) / 1e6;
		this.#delay.reset();
		return {
			cpuMs: (user + system) / 1000,
			residentBytes: this.#memory?.read() ?? 0,
			loopLagP99Ms: Math.max(0, p99Ms - ProcessMonitor.#resolutionMs),
		};
	}

	stop(): void {
		this.#delay.disable();
		this.#memory?.close();
		this.#memory = null;
	}
}
