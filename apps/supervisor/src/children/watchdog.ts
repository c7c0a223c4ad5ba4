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
	readonly #everyMs: number;
	readonly #now: () => number;
	#timer: NodeJS.Timeout | undefined;
	#lookedMs = 0;

	constructor(watched: readonly Watched[], heartbeatTimeoutMs: number, now: () => number = monotonicMs) {
		this.#watched = watched;
		this.#everyMs = Math.min(everyMsMax, heartbeatTimeoutMs / 4);
		this.#now = now;
	}

	start(): void {
		this.#lookedMs = this.#now();
		this.#timer = setInterval(() => this.#look(), this.#everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#look(): void {
		const nowMs = this.#now();
		const late = nowMs - this.#lookedMs > 2 * this.#everyMs;
		this.#lookedMs = nowMs;
		if (late) return;
		for (const child of this.#watched) child.checkHeartbeat(nowMs);
	}
}
