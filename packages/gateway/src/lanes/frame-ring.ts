import type { Frame } from "../buffers/frame.ts";

/**
 * Frames in order, in a fixed array that is used round and round: no array that shifts, no object per frame. One thread.
 * Bound: `framesMax`; who pushes into a full one has a defect, and gets an Error.
 *
 * It counts no references: those of its frames belong to whoever owns the ring.
 */
export class FrameRing {
	readonly framesMax: number;
	readonly #slots: (Frame | null)[];
	readonly #mask: number;
	#head = 0;
	#count = 0;
	#bytes = 0;

	constructor(framesMax: number) {
		if (!Number.isInteger(framesMax) || framesMax < 1 || framesMax > 2 ** 20)
			throw new RangeError(`a queue of ${framesMax} frames: give a whole number from 1 to ${2 ** 20}`);
		this.framesMax = framesMax;
		const size = 2 ** Math.ceil(Math.log2(framesMax));
		this.#slots = new Array<Frame | null>(size).fill(null);
		this.#mask = size - 1;
	}

	get count(): number {
		return this.#count;
	}

	/** Bytes of all payloads. */
	get bytes(): number {
		return this.#bytes;
	}

	/** The frame with `index` older ones before it. */
	at(index: number): Frame {
		return this.#slots[(this.#head + index) & this.#mask]!;
	}

	peek(): Frame | null {
		return this.#count === 0 ? null : this.at(0);
	}

	push(frame: Frame): void {
		if (this.#count >= this.framesMax) throw new Error("a frame was pushed into a full queue");
		this.#slots[(this.#head + this.#count) & this.#mask] = frame;
		this.#count++;
		this.#bytes += frame.length;
	}

	/** Like `push`, but in front of all but the `index` oldest ones. Costs a step per frame behind it. */
	insert(index: number, frame: Frame): void {
		this.push(frame);
		for (let at = this.#count - 1; at > index; at--) this.#slots[(this.#head + at) & this.#mask] = this.at(at - 1);
		this.#slots[(this.#head + index) & this.#mask] = frame;
	}

	shift(): Frame | null {
		if (this.#count === 0) return null;
		const frame = this.#slots[this.#head]!;
		this.#slots[this.#head] = null;
		this.#head = (this.#head + 1) & this.#mask;
		this.#count--;
		this.#bytes -= frame.length;
		return frame;
	}

	/** Puts another frame in place of one. @returns the one that was there. */
	replace(index: number, frame: Frame): Frame {
		const slot = (this.#head + index) & this.#mask;
		const old = this.#slots[slot]!;
		this.#slots[slot] = frame;
		this.#bytes += frame.length - old.length;
		return old;
	}

	/** Takes out one frame; the others keep their order. Costs a step per older frame, and it is mostly the oldest that goes. */
	remove(index: number): Frame {
		const frame = this.at(index);
		for (let at = index; at > 0; at--) this.#slots[(this.#head + at) & this.#mask] = this.at(at - 1);
		this.#slots[this.#head] = null;
		this.#head = (this.#head + 1) & this.#mask;
		this.#count--;
		this.#bytes -= frame.length;
		return frame;
	}
}
