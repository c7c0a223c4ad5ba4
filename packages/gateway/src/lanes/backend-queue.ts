import type { Frame } from "../buffers/frame.ts";
import { isUrgent, mayDrop } from "../frames/frame-codec.ts";
import { highBytesShare } from "./client-lanes.ts";
import { type HeldBudget, HeldFrames } from "./held-frames.ts";
import { Lane, type Offered, StreamBy } from "./lane.ts";
import { LaneCounters } from "./lane-counters.ts";

export const BackendQueueDefaults = { controlFramesMax: 64, dataFramesMax: 256, bytesMax: 32 * 2 ** 20 } as const;

export interface BackendQueueOptions {
	readonly controlFramesMax?: number;
	readonly dataFramesMax?: number;
	/** Of both together; a quarter is control's alone. Held frames are not among them. */
	readonly bytesMax?: number;
}

/** Counters of one of a backend's two queues. `waiting` includes what is held; `refused` are frames for which their client's budget was used up. */
export class BackendLaneCounters extends LaneCounters {
	/** Frames that were held, since the start. */
	held = 0;
	/** Frames held now, and most at once. */
	holding = 0;
	holdingHighWater = 0;
}

export class BackendQueueCounters {
	readonly control = new BackendLaneCounters();
	readonly data = new BackendLaneCounters();
}

/** One of the two queues. */
class Part {
	readonly lane: Lane;
	readonly held = new HeldFrames();
	readonly #counters: BackendLaneCounters;

	constructor(framesMax: number, bytesMax: number, counters: BackendLaneCounters) {
		this.lane = new Lane({ framesMax, bytesMax, streamBy: StreamBy.client }, counters);
		this.#counters = counters;
	}

	offer(frame: Frame, budget: HeldBudget): Offered | "held" {
		if (mayDrop(frame.frameClass) || (this.held.count === 0 && this.lane.hasRoom(frame.length))) return this.lane.offer(frame);
		const counters = this.#counters;
		counters.offered++;
		if (!this.held.hold(frame, budget)) {
			counters.refused++;
			return "full";
		}
		counters.held++;
		counters.waiting++;
		counters.holding++;
		if (counters.holding > counters.holdingHighWater) counters.holdingHighWater = counters.holding;
		return "held";
	}

	next(): Frame | null {
		const frame = this.lane.shift();
		if (frame !== null && this.held.count > 0) this.#refill();
		return frame;
	}

	clear(lost?: (frame: Frame) => void): void {
		this.lane.clear(lost);
		for (let frame = this.held.shift(); frame !== null; frame = this.held.shift()) {
			this.#unheld();
			this.#counters.discarded++;
			lost?.(frame);
			frame.release();
		}
	}

	#refill(): void {
		for (let frame = this.held.peek(); frame !== null && this.lane.hasRoom(frame.length); frame = this.held.peek()) {
			this.held.shift();
			this.#unheld();
			this.lane.queue(frame);
			frame.release();
		}
	}

	#unheld(): void {
		this.#counters.waiting--;
		this.#counters.holding--;
	}
}

/**
 * Frames on their way to one backend: CONTROL, ACK and LINK in the queue of its control connection, VIDEO and FILE in that of its data
 * connection. One thread.
 *
 * Bounds: `controlFramesMax`, `dataFramesMax` and `bytesMax`. When a queue is full, the oldest VIDEO is dropped, that of the same client before
 * that of others. Other frames are held (`held`), up to the budget of their client; beyond, the answer is `full`: the client must be closed.
 * While any frame is held, further ones queue up behind it, so those of a client stay in order.
 */
export class BackendQueue {
	readonly counters: BackendQueueCounters;
	readonly #control: Part;
	readonly #data: Part;

	constructor(options: BackendQueueOptions = {}, counters: BackendQueueCounters = new BackendQueueCounters()) {
		const { controlFramesMax, dataFramesMax, bytesMax } = { ...BackendQueueDefaults, ...options };
		this.counters = counters;
		const controlBytesMax = Math.ceil(bytesMax * highBytesShare);
		this.#control = new Part(controlFramesMax, controlBytesMax, counters.control);
		this.#data = new Part(dataFramesMax, bytesMax - controlBytesMax, counters.data);
	}

	/** Frames that wait for the control connection, without held ones. */
	get controlCount(): number {
		return this.#control.lane.count;
	}

	get dataCount(): number {
		return this.#data.lane.count;
	}

	isHalfFull(kind: "control" | "data"): boolean {
		return (kind === "control" ? this.#control : this.#data).lane.isHalfFull;
	}

	/** Whether sources of frames that may not be dropped should pause. */
	holds(kind: "control" | "data"): boolean {
		const { lane, held } = kind === "control" ? this.#control : this.#data;
		return lane.holds || held.count > 0;
	}

	get heldCount(): number {
		return this.#control.held.count + this.#data.held.count;
	}

	/** Bytes that wait, with held ones. */
	get bytes(): number {
		return this.#control.lane.bytes + this.#data.lane.bytes + this.#control.held.bytes + this.#data.held.bytes;
	}

	/** @param budget of the client that the frame is from. */
	offer(frame: Frame, budget: HeldBudget): Offered | "held" {
		return (isUrgent(frame.frameClass) ? this.#control : this.#data).offer(frame, budget);
	}

	/** Takes out the oldest VIDEO frame of a client, with its reference, since there is no buffer for a newer one. Null: none waits. */
	olderVideo(clientId: number): Frame | null {
		return this.#data.lane.giveUp(clientId);
	}

	/** The oldest VIDEO frame of all clients, which stays. */
	oldestVideo(): Frame | null {
		return this.#data.lane.oldestVideo();
	}

	/** Takes out the next frame for the control connection, with a reference. */
	nextControl(): Frame | null {
		return this.#control.next();
	}

	nextData(): Frame | null {
		return this.#data.next();
	}

	/** Releases all frames: the backend is gone. @param lost gets each one before its release. */
	clear(lost?: (frame: Frame) => void): void {
		this.#control.clear(lost);
		this.#data.clear(lost);
	}
}
