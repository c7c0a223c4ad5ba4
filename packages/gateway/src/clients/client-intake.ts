import type { Frame } from "../buffers/frame.ts";
import type { Bandwidth } from "../flow/bandwidth.ts";
import { mayDrop } from "../frames/frame-codec.ts";
import { type HeldBudget, HeldFrames } from "../lanes/held-frames.ts";

interface ClientIntakeParts {
	readonly bandwidth: Bandwidth;
	readonly budget: HeldBudget;
	/** Milliseconds, monotonic. */
	readonly nowMs: () => number;
	/** Passes on a frame that had to wait. The reference stays the intake's. */
	readonly pass: (frame: Frame) => void;
	/** A frame is not passed on: its client has gone too long ago. */
	readonly dropped: () => void;
}

/** How long frames of a client that has gone may wait. */
const goneMsMax = 10_000;

/**
 * Holds frames from one client to `--client-bandwidth`: those above it wait, in order, and VIDEO among them is dropped. What waits is passed on even if
 * the client goes meanwhile, but what waits for 10 seconds more is dropped: clients that come and go would fill the memory.
 *
 * One owner, the client. Bound: its budget, which it shares with what waits for backends.
 */
export class ClientIntake {
	readonly #parts: ClientIntakeParts;
	readonly #waiting = new HeldFrames();
	#hasLeft = false;
	#dropTimer: NodeJS.Timeout | null = null;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: ClientIntakeParts) {
		this.#parts = parts;
	}

	/** Bytes per second. */
	set bytesPerSecond(value: number) {
		this.#parts.bandwidth.bytesPerSecond = value;
	}

	/** "now": pass it on. "later": it is retained, and passed on when it may. "full": too many wait. */
	admit(frame: Frame): "now" | "later" | "dropped" | "full" {
		const { bandwidth, budget, nowMs } = this.#parts;
		// Without a limit the clock is not read: each time is an object.
		if (this.#waiting.count === 0 && (bandwidth.bytesPerSecond === 0 || bandwidth.take(frame.length, nowMs()))) return "now";
		if (mayDrop(frame.frameClass)) return "dropped";
		if (!this.#waiting.hold(frame, budget)) return "full";
		this.#timer ??= setTimeout(this.#again, bandwidth.waitMs(nowMs())).unref();
		if (this.#hasLeft) this.#dropLater();
		return "later";
	}

	/** The client has gone. Frames of it that wait for their turn can come afterwards. */
	leave(): void {
		this.#hasLeft = true;
		if (this.#waiting.count > 0) this.#dropLater();
	}

	#dropLater(): void {
		this.#dropTimer ??= setTimeout(this.#drop, goneMsMax).unref();
	}

	readonly #drop = (): void => {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		this.#dropTimer = null;
		for (let frame = this.#waiting.shift(); frame !== null; frame = this.#waiting.shift()) {
			this.#parts.dropped();
			frame.release();
		}
	};

	readonly #again = (): void => {
		this.#timer = null;
		const { bandwidth, nowMs, pass } = this.#parts;
		for (let frame = this.#waiting.peek(); frame !== null; frame = this.#waiting.peek()) {
			const now = nowMs();
			if (!bandwidth.take(frame.length, now)) {
				this.#timer = setTimeout(this.#again, bandwidth.waitMs(now)).unref();
				return;
			}
			this.#waiting.shift();
			pass(frame);
			frame.release();
		}
	};
}
