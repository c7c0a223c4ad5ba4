import type { LogKeeper } from "@shardcast/channel-log";
import { monotonicMs } from "@shardcast/wire";

const everyMs = 100;
/** A lock of a log is held for a microsecond. Whoever keeps it that long is paused, and all publishers with history wait for it. */
const heldMsMax = 1000;

/**
 * Looks for processes that keep the lock of a log: they are told of, again at each look, to be killed. Like the watchdog it goes by a clock of its
 * own that goes on by at most two intervals per look, so that nobody is killed because the whole machine stood still.
 */
export class LockWatch {
	readonly #logs: Pick<LogKeeper, "heldLocks">;
	readonly #onHeld: (slot: number, heldMs: number) => void;
	readonly #now: () => number;
	#timer: NodeJS.Timeout | undefined;
	#lookedMs = 0;

	constructor(logs: Pick<LogKeeper, "heldLocks">, onHeld: (slot: number, heldMs: number) => void, now: () => number = monotonicMs) {
		this.#logs = logs;
		this.#onHeld = onHeld;
		this.#now = now;
	}

	start(): void {
		this.#lookedMs = this.#now();
		this.#timer = setInterval(() => this.#look(), everyMs);
	}

	stop(): void {
		clearInterval(this.#timer);
	}

	#look(): void {
		const nowMs = this.#now();
		const passedMs = Math.min(nowMs - this.#lookedMs, 2 * everyMs);
		this.#lookedMs = nowMs;
		for (const { slot, heldMs } of this.#logs.heldLocks(passedMs, heldMsMax)) this.#onHeld(slot, heldMs);
	}
}
