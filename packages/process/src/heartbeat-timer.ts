import { Heartbeat, monotonicMs } from "@shardcast/wire";
import type { ProcessSample } from "./monitor.ts";

type HeartbeatCounter = "heartbeatMs" | keyof ProcessSample;

interface HeartbeatTimerParts {
	/** The process's row of the scoreboard. */
	readonly counters: { set(counter: HeartbeatCounter, value: number): void };
	/** Measures CPU, memory and loop. Gets the largest delay of a heartbeat since the last call. */
	readonly sample: (beatLateMs: number) => ProcessSample;
	/** Called at each heartbeat. */
	readonly onBeat?: () => void;
	/** Called about once a second. */
	readonly onSecond?: () => void;
}

const beatsPerSecond = 1000 / Heartbeat.everyMs;

/**
 * Stores a process's heartbeat, and once a second its resource usage. It runs on the event loop that does the work, so heartbeats stop if that
 * hangs. The heartbeat comes first, so that an error afterwards cannot make a working process look dead.
 *
 * Cost: a timer and a store five times a second, some ten microseconds; one sample per second.
 */
export class HeartbeatTimer {
	readonly #parts: HeartbeatTimerParts;
	#timer: NodeJS.Timeout | null = null;
	#beats = 0;
	#beatMs = 0;
	/** Largest delay of a heartbeat since the last sample. */
	#lateMs = 0;

	constructor(parts: HeartbeatTimerParts) {
		this.#parts = parts;
	}

	/** Stores the first heartbeat at once, then continues until `stop`. */
	start(): void {
		this.#beatMs = monotonicMs();
		this.#onTimer();
		this.#timer = setInterval(this.#onTimer, Heartbeat.everyMs);
	}

	stop(): void {
		if (this.#timer !== null) clearInterval(this.#timer);
		this.#timer = null;
	}

	readonly #onTimer = (): void => {
		const { counters, onBeat } = this.#parts;
		const nowMs = monotonicMs();
		counters.set("heartbeatMs", nowMs);
		this.#lateMs = Math.max(this.#lateMs, nowMs - this.#beatMs - Heartbeat.everyMs);
		this.#beatMs = nowMs;
		if (this.#beats++ % beatsPerSecond === 0) this.#second();
		onBeat?.();
	};

	#second(): void {
		const { counters, sample, onSecond } = this.#parts;
		const { cpuMs, residentBytes, loopLagP99Ms } = sample(this.#lateMs);
		this.#lateMs = 0;
		counters.set("cpuMs", cpuMs);
		counters.set("residentBytes", residentBytes);
		counters.set("loopLagP99Ms", loopLagP99Ms);
		onSecond?.();
	}
}
