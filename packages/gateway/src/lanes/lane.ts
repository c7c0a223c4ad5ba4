import { Frame } from "../buffers/frame.ts";
import { mayDrop, readU32 } from "../frames/frame-codec.ts";
import { FrameLayout } from "../frames/frame-descriptor.ts";
import { FrameRing } from "./frame-ring.ts";
import type { LaneCounters } from "./lane-counters.ts";
import { Pressure } from "./pressure.ts";

/** What became of an offered frame. `full`: it may not be dropped, and there is no room. Offer it again when there is. */
export type Offered = "queued" | "dropped" | "full";

/** Hears what happens within a lane. */
export interface LaneListener {
	/** A frame that was queued has been dropped; the lane releases it afterwards. */
	dropped(frame: Frame): void;
}

/** Whose frames are one stream: of all frames in a lane, one end is the same. */
export const StreamBy = { client: FrameLayout.clientOffset, backend: FrameLayout.backendOffset } as const;
export type StreamBy = (typeof StreamBy)[keyof typeof StreamBy];

export interface LaneOptions {
	readonly framesMax: number;
	readonly bytesMax: number;
	readonly streamBy: StreamBy;
}

/**
 * Frames in the order in which they came. One thread.
 *
 * Bounds: `framesMax` and `bytesMax`. A frame longer than `bytesMax` is taken when nothing else waits, else it would never pass. When it is
 * full, VIDEO makes room, the oldest first, and that of the same stream before that of others; if there is none, VIDEO is dropped, and
 * for another frame the answer is `full`. A VIDEO frame that displaces one of its stream gets that one's place, not the last, so
 * a stream that is fast does not lose its turn with each frame.
 *
 * At 80 % of a bound a back-pressure event is counted. `holds` is about those frames alone that may not be dropped: from 80 % on, until it
 * is down at 50 %, their sources should pause.
 *
 * The lane retains what it queues. Who takes a frame out gets that reference.
 */
export class Lane {
	readonly counters: LaneCounters;
	readonly #ring: FrameRing;
	readonly #bytesMax: number;
	readonly #streamAt: number;
	readonly #listener: LaneListener | null;
	readonly #pressure: Pressure;
	readonly #holdPressure: Pressure;
	/** Below these, neither is pressed by what comes. */
	readonly #calmFrames: number;
	readonly #calmBytes: number;
	/** Neither is pressed. Most frames come and go while this holds, and then nothing else is looked at. */
	#isCalm = true;
	/** Frames that may not be dropped. */
	#kept = 0;
	#keptBytes = 0;
	/** The place of the stream that has given up a frame last, which its next one gets; -1 = there is none. */
	#vacantAt = -1;
	/** It begins as a fraction so that V8 stores ids from 2^31 on without making objects. */
	#vacantStream = 0.5;

	constructor({ framesMax, bytesMax, streamBy }: LaneOptions, counters: LaneCounters, listener: LaneListener | null = null) {
		this.#ring = new FrameRing(framesMax);
		this.#bytesMax = bytesMax;
		this.#streamAt = Frame.headerAt + streamBy;
		this.counters = counters;
		this.#listener = listener;
		this.#pressure = new Pressure(framesMax, bytesMax);
		this.#holdPressure = new Pressure(framesMax, bytesMax);
		this.#calmFrames = this.#pressure.framesPressed;
		this.#calmBytes = this.#pressure.bytesPressed;
	}

	get count(): number {
		return this.#ring.count;
	}

	get isHalfFull(): boolean {
		return this.count * 2 >= this.#ring.framesMax || this.bytes * 2 >= this.#bytesMax;
	}

	get bytes(): number {
		return this.#ring.bytes;
	}

	/** Whether sources of frames that may not be dropped should pause. */
	get holds(): boolean {
		return this.#holdPressure.isPressed;
	}

	/** Whether a frame that may not be dropped would be queued. If not, `holds` is true from now on, until it is down at 50 %. */
	hasRoom(length: number): boolean {
		if (this.#kept === 0 || (this.#kept < this.#ring.framesMax && this.#keptBytes + length <= this.#bytesMax)) return true;
		this.#holdPressure.press();
		this.#isCalm = false;
		return false;
	}

	/** VIDEO frames of a stream. */
	countOf(streamId: number): number {
		let count = 0;
		for (let index = 0; index < this.#ring.count; index++) {
			const frame = this.#ring.at(index);
			if (this.#isVideoOf(frame, streamId)) count++;
		}
		return count;
	}

	peek(): Frame | null {
		return this.#ring.peek();
	}

	offer(frame: Frame): Offered {
		this.counters.offered++;
		if (this.queue(frame)) return "queued";
		if (mayDrop(frame.frameClass)) {
			this.counters.dropped++;
			return "dropped";
		}
		this.counters.refused++;
		return "full";
	}

	/** Like `offer`, for a frame whose offer is counted elsewhere. False: there is no room. */
	queue(frame: Frame): boolean {
		const ring = this.#ring;
		const droppable = mayDrop(frame.frameClass);
		// VIDEO is not dropped for a frame that finds no room even then.
		if (!this.hasRoom(frame.length)) return false;
		while (ring.count > 0 && (ring.count >= ring.framesMax || ring.bytes + frame.length > this.#bytesMax)) {
			const oldest = droppable ? this.#oldestOf(frame) : -1;
			if (oldest < 0) this.#drop(this.#oldestVideo());
			else if (ring.bytes - ring.at(oldest).length + frame.length <= this.#bytesMax) return this.replace(frame);
			else this.#drop(oldest);
		}
		frame.retain();
		if (this.#vacantAt >= 0 && this.#isVideoOf(frame, this.#vacantStream)) {
			ring.insert(this.#vacantAt, frame);
			this.#vacantAt = -1;
		} else ring.push(frame);
		if (!droppable) {
			this.#kept++;
			this.#keptBytes += frame.length;
		}
		const counters = this.counters;
		counters.waiting++;
		if (ring.count > counters.highWater) counters.highWater = ring.count;
		this.#press();
		return true;
	}

	/**
	 * Puts a VIDEO frame in place of the newest one of its stream, that one in place of the one before it, and so on; the oldest is dropped.
	 * @returns false if there is none.
	 */
	replace(frame: Frame): boolean {
		const ring = this.#ring;
		let carried = frame;
		for (let index = ring.count - 1; index >= 0; index--) {
			if (this.#isSameStream(ring.at(index), frame)) carried = ring.replace(index, carried);
		}
		if (carried === frame) return false;
		frame.retain();
		this.counters.waiting++;
		this.#gone(carried);
		this.#press();
		return true;
	}

	/**
	 * Takes out the oldest VIDEO frame of a stream, with its reference: its buffer is needed for a newer one. Those that follow move up, and the next one of
	 * the stream gets the place that becomes free, so the stream does not lose its turn. Null: none waits.
	 */
	giveUp(streamId: number): Frame | null {
		const ring = this.#ring;
		let oldest: Frame | null = null;
		let place = -1;
		for (let index = 0; index < ring.count; index++) {
			const frame = ring.at(index);
			if (!this.#isVideoOf(frame, streamId)) continue;
			if (oldest === null) oldest = frame;
			else ring.replace(place, frame);
			place = index;
		}
		if (oldest === null) return null;
		ring.remove(place);
		this.#vacantAt = place;
		this.#vacantStream = streamId;
		this.counters.waiting--;
		this.counters.dropped++;
		this.#listener?.dropped(oldest);
		this.#press();
		return oldest;
	}

	/** The oldest VIDEO frame of all streams, which stays. */
	oldestVideo(): Frame | null {
		const index = this.#oldestVideo();
		return index < 0 ? null : this.#ring.at(index);
	}

	shift(): Frame | null {
		const frame = this.#ring.shift();
		if (frame === null) return null;
		if (this.#vacantAt > 0) this.#vacantAt--;
		this.counters.delivered++;
		this.#left(frame);
		return frame;
	}

	/** Releases all frames. @param lost gets each one before its release. */
	clear(lost?: (frame: Frame) => void): void {
		this.#vacantAt = -1;
		for (let frame = this.#ring.shift(); frame !== null; frame = this.#ring.shift()) {
			this.counters.discarded++;
			this.#left(frame);
			lost?.(frame);
			frame.release();
		}
	}

	/** @param index `hasRoom` has found that there is one. */
	#drop(index: number): void {
		if (index < 0) throw new Error("a lane is full of frames that it has not counted");
		if (index < this.#vacantAt) this.#vacantAt--;
		this.#gone(this.#ring.remove(index));
	}

	/** After a VIDEO frame was taken out to make room. */
	#gone(frame: Frame): void {
		this.counters.waiting--;
		this.counters.dropped++;
		this.#listener?.dropped(frame);
		frame.release();
	}

	#left(frame: Frame): void {
		this.counters.waiting--;
		if (!mayDrop(frame.frameClass)) {
			this.#kept--;
			this.#keptBytes -= frame.length;
		}
		this.#press();
	}

	#press(): void {
		const { count, bytes } = this.#ring;
		if (this.#isCalm && count < this.#calmFrames && bytes < this.#calmBytes) return;
		this.#holdPressure.update(this.#kept, this.#keptBytes);
		if (this.#pressure.update(count, bytes)) this.counters.backpressureEvents++;
		this.#isCalm = !this.#pressure.isPressed && !this.#holdPressure.isPressed;
	}

	/** Place of the oldest VIDEO frame, -1 if there is none. */
	#oldestVideo(): number {
		const ring = this.#ring;
		for (let index = 0; index < ring.count; index++) if (mayDrop(ring.at(index).frameClass)) return index;
		return -1;
	}

	/** Place of the oldest VIDEO frame of the same stream, -1 if there is none. */
	#oldestOf(frame: Frame): number {
		const ring = this.#ring;
		for (let index = 0; index < ring.count; index++) if (this.#isSameStream(ring.at(index), frame)) return index;
		return -1;
	}

	#isSameStream(other: Frame, frame: Frame): boolean {
		return this.#isVideoOf(other, readU32(frame.bytes, this.#streamAt));
	}

	#isVideoOf(frame: Frame, streamId: number): boolean {
		return mayDrop(frame.frameClass) && readU32(frame.bytes, this.#streamAt) === streamId;
	}
}
