import type { Frame } from "../buffers/frame.ts";

export const AckDefaults = { window: 1, timeoutMs: 2000 } as const;

/** Counters of all streams together. */
export class AckCounters {
	/** ACKs that a frame had waited for. */
	acks = 0;
	/** ACKs while no frame was unacknowledged: too late, or too many. They change nothing. */
	surplusAcks = 0;
	/** VIDEO frames not sent because a newer one came. */
	skipped = 0;
	/** How often a window was reset because no ACK came in time. */
	resets = 0;
}

/**
 * What is on its way in one stream, which is the VIDEO of one backend to one client. At most `window` frames are queued or unacknowledged;
 * beyond that the newest waits here, and each newer one takes its place. It does not send or queue anything itself.
 *
 * If frames are unacknowledged and no ACK comes for `timeoutMs`, the frames count as lost and the window is open again: a client that has
 * lost one frame, or its ACK, goes on. An ACK acknowledges the oldest frame. After a reset, an ACK that was late and one for a newer frame
 * look the same, so a late one may open the window early, once; that is harmless, and the ACK that is then too many is ignored.
 *
 * Times are milliseconds of the caller's clock.
 */
export class AckWindow {
	/** Frames in the client's lane. */
	queued = 0;
	#inFlight = 0;
	#pending: Frame | null = null;
	/** Since when no ACK has come, while frames are in flight. It begins as a fraction so that V8 stores others without making objects. */
	#waitingSinceMs = 0.5;
	readonly #counters: AckCounters;

	constructor(counters: AckCounters) {
		this.#counters = counters;
	}

	/** Whether another frame may be queued. */
	isOpen(window: number): boolean {
		return this.queued + this.#inFlight < window;
	}

	/** Keeps the newest frame, with a reference. @returns false if it took the place of an older one, which is released. */
	keep(frame: Frame): boolean {
		const older = this.#pending;
		frame.retain();
		this.#pending = frame;
		if (older === null) return true;
		this.#counters.skipped++;
		older.release();
		return false;
	}

	/** Gives out the newest frame, with its reference. */
	takePending(): Frame | null {
		const frame = this.#pending;
		this.#pending = null;
		return frame;
	}

	/** A queued frame goes to the client. */
	sent(nowMs: number): void {
		this.queued--;
		if (this.#inFlight++ === 0) this.#waitingSinceMs = nowMs;
	}

	/** @returns false for an ACK that nothing waits for. */
	acknowledge(nowMs: number): boolean {
		if (this.#inFlight === 0) {
			this.#counters.surplusAcks++;
			return false;
		}
		this.#counters.acks++;
		this.#inFlight--;
		this.#waitingSinceMs = nowMs;
		return true;
	}

	/** When the ACK that is waited for is overdue; Infinity if none is. */
	overdueFromMs(timeoutMs: number): number {
		return this.#inFlight === 0 ? Number.POSITIVE_INFINITY : this.#waitingSinceMs + timeoutMs;
	}

	/** Opens the window if no ACK has come in time. @returns whether it did. */
	expire(nowMs: number, timeoutMs: number): boolean {
		if (this.#inFlight === 0 || nowMs - this.#waitingSinceMs < timeoutMs) return false;
		this.#inFlight = 0;
		this.#counters.resets++;
		return true;
	}
}
