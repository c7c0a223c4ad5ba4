import { monotonicMs } from "@shardcast/wire";

/** What the watchdog needs of a child. */
export interface Watched {
	/** Kills the child when it has given no heartbeat for too long. */
	checkHeartbeat(nowMs: number): void;
}

/** A quarter of the time-out when that is shorter. */
const everyMsMax = 1000;

/**
 * Looks for hung children at intervals. A look that comes late says that this process, and so probably the whole machine, stood
 * still: children have not had the time to beat either, so they are given until the next look.
 */
export class Watchdog {
	readonly #watched: readonly Watched[];
	#everyMs = 0;
	readonly #now: () => number;
	#timer: NodeJS.Timeout | undefined;
	#lookedMs = 0;

	constructor(watched: readonly Watched[], heartbeatTimeoutMs: number, now: () => number = monotonicMs) {
		this.#watched = watched;
		this.#now = now;
		this.heartbeatTimeoutMs = heartbeatTimeoutMs;
	}

	/** How often it looks follows from it. */
	set heartbeatTimeoutMs(value: number) {
		this.#everyMs = Math.min(everyMsMax, value / 4);
		if (this.#timer === undefined) return;
		this.stop();
		this.start();
	}

	start(): void {
		this.#lookedMs = this.#now();
		this.#timer = setInterval(() => this.#look(), this.#everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
		this.#timer = undefined;
	}

	#look(): void {
		const nowMs = this.#now();
		const late = nowMs - this.#lookedMs > 2 * this.#everyMs;
		this.#lookedMs = nowMs;
		if (late) return;
		for (const child of this.#watched) child.checkHeartbeat(nowMs);
	}
}
