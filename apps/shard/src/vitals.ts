import type { BusLink } from "@shardcast/bus";
import type { ProcessSample } from "@shardcast/service";
import { monotonicMs } from "@shardcast/wire";
import type { Counters } from "./counters.ts";

export interface VitalsParts {
	readonly counters: Counters;
	readonly bus: Pick<BusLink, "depthBytes" | "backlogBytes">;
	/** CPU, memory and loop of the process that hosts this shard. */
	readonly sample: () => ProcessSample;
	/** What else is due about once a second. */
	readonly onBeat: () => void;
}

const beatMs = 1000;

/**
 * The shard's sign of life and what it costs, in its row once a second. It runs on the shard's own loop, so a loop that hangs
 * falls silent, and the supervisor notices.
 */
export class Vitals {
	readonly #parts: VitalsParts;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: VitalsParts) {
		this.#parts = parts;
	}

	start(): void {
		this.#parts.counters.set("startedMs", monotonicMs());
		this.#beat();
		this.#timer = setInterval(this.#beat, beatMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	readonly #beat = (): void => {
		const { counters, bus, sample, onBeat } = this.#parts;
		const { cpuMs, residentBytes, loopLagP99Ms } = sample();
		counters.set("heartbeatMs", monotonicMs());
		counters.set("cpuMs", cpuMs);
		counters.set("residentBytes", residentBytes);
		counters.set("loopLagP99Ms", loopLagP99Ms);
		counters.set("busDepthBytes", bus.depthBytes());
		counters.set("busBacklogBytes", bus.backlogBytes());
		onBeat();
	};
}
