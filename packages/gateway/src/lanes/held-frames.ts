import type { Frame } from "../buffers/frame.ts";
import { FrameRing } from "./frame-ring.ts";

export const HeldDefaults = { framesMax: 64, bytesMax: 16 * 2 ** 20 } as const;

/** What one client may have held, over all backends. Shared by all queues that its frames go to; one per client. */
export class HeldBudget {
	readonly framesMax: number;
	readonly bytesMax: number;
	frames = 0;
	bytes = 0;

	constructor(framesMax: number = HeldDefaults.framesMax, bytesMax: number = HeldDefaults.bytesMax) {
		this.framesMax = framesMax;
		this.bytesMax = bytesMax;
	}

	/** A single frame is always held. */
	hasRoom(length: number): boolean {
		return this.frames === 0 || (this.frames < this.framesMax && this.bytes + length <= this.bytesMax);
	}
}

/** The held frames of one client. */
class Waiting {
	readonly frames: FrameRing;
	readonly budget: HeldBudget;
	/** Of the clients that have held frames. */
	next: Waiting | null = null;

	constructor(budget: HeldBudget) {
		this.frames = new FrameRing(budget.framesMax);
		this.budget = budget;
	}
}

/**
 * Frames that may not be dropped and found no room in a lane towards a backend. Those of a client stay in order, and clients take turns, a frame
 * each, so one that sends much does not delay one that sends little. One thread.
 *
 * Bound: the budget of each client. It retains what it holds.
 */
export class HeldFrames {
	/** Clients, in the order of their turns. */
	#first: Waiting | null = null;
	#last: Waiting | null = null;
	/** Kept as long as the client is there: holding its next frame makes no object. */
	readonly #of = new WeakMap<HeldBudget, Waiting>();
	#count = 0;
	#bytes = 0;

	get count(): number {
		return this.#count;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** @returns false if the client's budget is used up. */
	hold(frame: Frame, budget: HeldBudget): boolean {
		if (!budget.hasRoom(frame.length)) return false;
		let waiting = this.#of.get(budget);
		if (waiting === undefined) {
			waiting = new Waiting(budget);
			this.#of.set(budget, waiting);
		}
		if (waiting.frames.count === 0) this.#append(waiting);
		frame.retain();
		waiting.frames.push(frame);
		budget.frames++;
		budget.bytes += frame.length;
		this.#count++;
		this.#bytes += frame.length;
		return true;
	}

	/** The frame whose turn it is. */
	peek(): Frame | null {
		return this.#first === null ? null : this.#first.frames.peek();
	}

	/** Takes out the frame whose turn it is, with its reference. */
	shift(): Frame | null {
		const waiting = this.#first;
		if (waiting === null) return null;
		const frame = waiting.frames.shift()!;
		const { budget } = waiting;
		budget.frames--;
		budget.bytes -= frame.length;
		this.#count--;
		this.#bytes -= frame.length;
		this.#first = waiting.next;
		if (this.#first === null) this.#last = null;
		if (waiting.frames.count > 0) this.#append(waiting);
		return frame;
	}

	#append(waiting: Waiting): void {
		waiting.next = null;
		if (this.#last === null) this.#first = waiting;
		else this.#last.next = waiting;
		this.#last = waiting;
	}
}
