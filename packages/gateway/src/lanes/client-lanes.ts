import type { Frame } from "../buffers/frame.ts";
import { AckCounters, AckDefaults, AckWindow } from "../flow/ack-window.ts";
import { hasWindow, isUrgent, mayDrop } from "../frames/frame-codec.ts";
import { Lane, type LaneListener, type Offered, StreamBy } from "./lane.ts";
import { LaneCounters } from "./lane-counters.ts";

export const ClientLaneDefaults = { framesMax: 64, bytesMax: 16 * 2 ** 20 } as const;

/** After so many frames of the high lane in a row, the low lane, if a frame waits there, has its turn. */
export const highFramesInRowMax = 16;

/** Part of a bound on bytes that the high lane has for itself: however full the low lane is, it takes none of that. */
export const highBytesShare = 1 / 4;

export interface ClientLanesOptions {
	/** Of each lane. */
	readonly framesMax?: number;
	/** Of both lanes together. */
	readonly bytesMax?: number;
	/** VIDEO frames of a stream that may be queued or unacknowledged, at least 1. */
	readonly window?: number;
	readonly ackTimeoutMs?: number;
}

/** Counters of the lanes of all clients together. */
export class ClientLaneCounters {
	readonly high = new LaneCounters();
	/** VIDEO that waits for an ACK counts as waiting here. */
	readonly low = new LaneCounters();
	readonly acks = new AckCounters();
}

/**
 * Frames on their way to one client: a high lane for CONTROL, ACK and LINK, a low one for VIDEO and FILE. One thread.
 *
 * Rule: the high lane goes first. After 16 of its frames in a row while one waits in the low lane, one low frame goes. So the low lane gets at
 * least every 17th frame, and a frame of the high lane waits for at most one low frame before the next 16.
 *
 * Bounds: `framesMax` per lane, `bytesMax` for both, of which a quarter is the high lane's alone. See `Lane` for what happens when one is full.
 * VIDEO has an ACK window per backend (`AckWindow`): when it is used up, only the newest frame waits, outside of the lanes. A frame in the lane
 * that a newer one overtakes is replaced there.
 *
 * Frames of the same client, class and backend never change their order. Who offers a frame keeps its own reference; who takes one out has
 * to release it.
 */
export class ClientLanes implements LaneListener {
	readonly counters: ClientLaneCounters;
	#ackTimeoutMs: number;
	/** Before then no acknowledgement is overdue. It begins as a fraction so that V8 stores others without making objects. */
	#overdueFromMs = 0.5;
	#window: number;
	readonly #high: Lane;
	readonly #low: Lane;
	/** By backend id. As many as there are backends; `forgetBackend` removes one. */
	readonly #windows = new Map<number, AckWindow>();
	#highInRow = 0;

	constructor(options: ClientLanesOptions = {}, counters: ClientLaneCounters = new ClientLaneCounters()) {
		const { framesMax = ClientLaneDefaults.framesMax, bytesMax = ClientLaneDefaults.bytesMax } = options;
		this.counters = counters;
		this.#window = options.window ?? AckDefaults.window;
		this.#ackTimeoutMs = options.ackTimeoutMs ?? AckDefaults.timeoutMs;
		const highBytesMax = Math.ceil(bytesMax * highBytesShare);
		this.#high = new Lane({ framesMax, bytesMax: highBytesMax, streamBy: StreamBy.backend }, counters.high, this);
		this.#low = new Lane({ framesMax, bytesMax: bytesMax - highBytesMax, streamBy: StreamBy.backend }, counters.low, this);
	}

	/** A live option. */
	set ackTimeoutMs(value: number) {
		this.#ackTimeoutMs = value;
		this.#overdueFromMs = 0;
	}

	get window(): number {
		return this.#window;
	}

	/** A live option. What waits for a window that is open now is queued: send. */
	set window(frames: number) {
		this.#window = frames;
		for (const stream of this.#windows.values()) if (stream.isOpen(frames)) this.#promote(stream);
	}

	/** Frames in the lanes; VIDEO that waits for an ACK is not among them. */
	get count(): number {
		return this.#high.count + this.#low.count;
	}

	get highCount(): number {
		return this.#high.count;
	}

	get bytes(): number {
		return this.#high.bytes + this.#low.bytes;
	}

	/** Whether sources of this class should pause: ask again when frames have gone. Never for VIDEO. */
	holds(frameClass: number): boolean {
		return !mayDrop(frameClass) && this.#lane(frameClass).holds;
	}

	/** Whether `offer` would not answer `full`. If not, ask again when a frame has gone. */
	hasRoom(frameClass: number, length: number): boolean {
		return mayDrop(frameClass) || this.#lane(frameClass).hasRoom(length);
	}

	offer(frame: Frame): Offered {
		if (!hasWindow(frame.frameClass)) return this.#lane(frame.frameClass).offer(frame);
		const stream = this.#stream(frame.backendId);
		const low = this.#low;
		if (stream.isOpen(this.#window)) {
			const offered = low.offer(frame);
			if (offered === "queued") stream.queued++;
			return offered;
		}
		low.counters.offered++;
		if (stream.queued > 0) {
			// It takes the place of one of its stream, which `dropped` has taken off the count.
			low.replace(frame);
			stream.queued++;
			this.counters.acks.skipped++;
		} else if (stream.keep(frame)) low.counters.waiting++;
		else low.counters.dropped++;
		return "queued";
	}

	/** The frame that `next` would return. */
	peek(): Frame | null {
		return this.#turn().peek();
	}

	/** The frame of the high lane that would go next. */
	peekHigh(): Frame | null {
		return this.#high.peek();
	}

	/**
	 * Takes out the frame to send now, with a reference.
	 * @param isLowHeld the low lane may send nothing now, even if it is its turn.
	 */
	next(nowMs: number, isLowHeld = false): Frame | null {
		const lane = isLowHeld ? this.#high : this.#turn();
		const frame = lane.shift();
		if (frame === null) return null;
		// A run of high frames counts only while a low one waits.
		this.#highInRow = lane === this.#high && this.#low.count > 0 ? this.#highInRow + 1 : 0;
		if (hasWindow(frame.frameClass)) this.#windows.get(frame.backendId)?.sent(nowMs);
		return frame;
	}

	/** The client acknowledges the oldest VIDEO frame of a backend. @returns whether a frame may have become ready to be sent. */
	acknowledge(backendId: number, nowMs: number): boolean {
		const stream = this.#windows.get(backendId);
		if (stream === undefined) {
			this.counters.acks.surplusAcks++;
			return false;
		}
		return stream.acknowledge(nowMs) && stream.isOpen(this.#window) && this.#promote(stream);
	}

	/**
	 * Opens the windows for which no ACK has come in time; call it every fraction of a second. It looks at each stream about once in the time that an ACK
	 * has: a thousand clients with sixteen streams are many.
	 * @returns whether a frame may be sent now.
	 */
	expire(nowMs: number): boolean {
		if (nowMs < this.#overdueFromMs) return false;
		let isReady = false;
		// What is sent from now on is overdue after that.
		this.#overdueFromMs = nowMs + this.#ackTimeoutMs;
		for (const stream of this.#windows.values()) {
			if (stream.expire(nowMs, this.#ackTimeoutMs) && this.#promote(stream)) isReady = true;
			this.#overdueFromMs = Math.min(this.#overdueFromMs, stream.overdueFromMs(this.#ackTimeoutMs));
		}
		return isReady;
	}

	/** Takes out a VIDEO frame of a backend, with its reference, since there is no buffer for a newer one. Null: none waits. */
	olderVideo(backendId: number): Frame | null {
		const low = this.#low;
		let older = low.giveUp(backendId);
		if (older === null) {
			older = this.#windows.get(backendId)?.takePending() ?? null;
			if (older === null) return null;
			low.counters.waiting--;
			low.counters.dropped++;
		}
		this.counters.acks.skipped++;
		return older;
	}

	/** A backend is no more, or has started again: nothing will acknowledge what it has sent. */
	forgetBackend(backendId: number): void {
		const stream = this.#windows.get(backendId);
		if (stream === undefined) return;
		// Its client is still there, so it counts as one that the client was too slow for.
		if (this.#releasePending(stream)) this.#low.counters.dropped++;
		this.#windows.delete(backendId);
	}

	/** Releases all frames. */
	clear(): void {
		this.#high.clear();
		this.#low.clear();
		for (const stream of this.#windows.values()) if (this.#releasePending(stream)) this.#low.counters.discarded++;
		this.#windows.clear();
	}

	dropped(frame: Frame): void {
		if (!hasWindow(frame.frameClass)) return;
		const stream = this.#windows.get(frame.backendId);
		if (stream !== undefined) stream.queued--;
	}

	#lane(frameClass: number): Lane {
		return isUrgent(frameClass) ? this.#high : this.#low;
	}

	/** The lane whose turn it is. */
	#turn(): Lane {
		if (this.#low.count === 0) return this.#high;
		return this.#high.count > 0 && this.#highInRow < highFramesInRowMax ? this.#high : this.#low;
	}

	#stream(backendId: number): AckWindow {
		let stream = this.#windows.get(backendId);
		if (stream === undefined) {
			stream = new AckWindow(this.counters.acks);
			stream.queued = this.#low.countOf(backendId);
			this.#windows.set(backendId, stream);
		}
		return stream;
	}

	/** Queues the frame that waited for the window to open. */
	#promote(stream: AckWindow): boolean {
		const frame = stream.takePending();
		if (frame === null) return false;
		const low = this.#low;
		low.counters.waiting--;
		const isQueued = low.queue(frame);
		if (isQueued) stream.queued++;
		else low.counters.dropped++;
		frame.release();
		return isQueued;
	}

	#releasePending(stream: AckWindow): boolean {
		const frame = stream.takePending();
		if (frame === null) return false;
		this.#low.counters.waiting--;
		frame.release();
		return true;
	}
}
