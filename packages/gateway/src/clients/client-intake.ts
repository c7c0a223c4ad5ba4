import type { Frame } from "../buffers/frame.ts";
import type { Bandwidth } from "../flow/bandwidth.ts";
import { isUrgent, mayDrop } from "../frames/frame-codec.ts";
import { type HeldBudget, HeldFrames } from "../lanes/held-frames.ts";

interface ClientIntakeParts {
	readonly bandwidth: Bandwidth;
	readonly budget: HeldBudget;
	/** All intakes with frames that wait, also those of clients that have gone. It puts itself in, and takes itself out. */
	readonly waiting: Set<ClientIntake>;
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
 * Holds frames from one client to `--client-bandwidth`: those above it wait, in order, and VIDEO among them is dropped. CONTROL overtakes what waits as
 * long as it stays below its part of the bandwidth. What waits is passed on even if the client goes meanwhile, but what waits for 10 seconds more is
 * dropped: clients that come and go would fill the memory.
 *
 * One owner, the client. Bound: its budget, which it shares with what waits for backends.
 */
export class ClientIntake {
	readonly #parts: ClientIntakeParts;
	readonly #waiting = new HeldFrames();
	/** CONTROL that waits: later CONTROL must not overtake it. */
	#urgentWaiting = 0;
	#hasLeft = false;
	#dropTimer: NodeJS.Timeout | null = null;
	#timer: NodeJS.Timeout | null = null;

	constructor(parts: ClientIntakeParts) {
		this.#parts = parts;
	}

	/** Bytes per second. Applies to what waits as well; 0 passes all of it on. */
	set bytesPerSecond(value: number) {
		this.#parts.bandwidth.bytesPerSecond = value;
		if (this.#waiting.count > 0) this.#again();
	}

	/** "now": pass it on. "later": it is retained, and passed on when it may. "full": too many wait. */
	admit(frame: Frame): "now" | "later" | "dropped" | "full" {
		const { bandwidth, budget, nowMs, waiting } = this.#parts;
		// Without a limit the clock is not read: each time is an object.
		if (bandwidth.bytesPerSecond === 0 && this.#waiting.count === 0) return "now";
		const isControl = isUrgent(frame.frameClass);
		if (isControl && this.#urgentWaiting === 0 && bandwidth.takeUrgent(frame.length, nowMs())) return "now";
		if (this.#waiting.count === 0 && bandwidth.take(frame.length, nowMs())) return "now";
		if (mayDrop(frame.frameClass)) return "dropped";
		if (!this.#waiting.hold(frame, budget)) return "full";
		if (isControl) this.#urgentWaiting++;
		waiting.add(this);
		this.#timer ??= this.#wait(frame, nowMs());
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
		this.#urgentWaiting = 0;
		this.#parts.waiting.delete(this);
	};

	#wait({ frameClass }: Frame, nowMs: number): NodeJS.Timeout {
		return setTimeout(this.#again, this.#parts.bandwidth.waitMs(nowMs, isUrgent(frameClass))).unref();
	}

	readonly #again = (): void => {
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#timer = null;
		const { bandwidth, nowMs, pass, waiting } = this.#parts;
		for (let frame = this.#waiting.peek(); frame !== null; frame = this.#waiting.peek()) {
			const now = nowMs();
			const isControl = isUrgent(frame.frameClass);
			if (!bandwidth.take(frame.length, now, isControl)) {
				this.#timer = this.#wait(frame, now);
				return;
			}
			this.#waiting.shift();
			if (isControl) this.#urgentWaiting--;
			pass(frame);
			frame.release();
		}
		waiting.delete(this);
	};
}
