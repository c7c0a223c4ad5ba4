import type { Socket } from "node:net";
import { Frame } from "../buffers/frame.ts";
import type { Bandwidth } from "../flow/bandwidth.ts";
import { encodeFrameHeader, writeU32 } from "../frames/frame-codec.ts";
import { FrameLayout } from "../frames/frame-descriptor.ts";
import type { LinkCounts } from "./link-counts.ts";
import { type SpareBuffers, spareBufferBytes } from "./spare-buffers.ts";

/** What is to be written: a frame, with a reference that is now the writer's, or the bytes of one of the link itself. */
export type Outgoing = Frame | Buffer;

/** As it is on the connection. */
export function sizeOf(outgoing: Outgoing): number {
	return outgoing instanceof Frame ? outgoing.wireBytes : outgoing.length;
}

export interface WriterParts {
	/** Written into every frame: one that goes to several backends is stored once, without their ids. */
	readonly backendId: number;
	readonly socket: Socket;
	readonly spare: SpareBuffers;
	readonly counts: LinkCounts;
	readonly rate: Bandwidth;
	readonly atOnce: WritesAtOnce;
	readonly nowMs: () => number;
	/** Takes out the next that is to be written; null = nothing waits. */
	readonly next: () => Outgoing | null;
	/** Called after the kernel has taken a write, with room for more. */
	readonly onWritten: () => void;
}

/** Frames up to this size are gathered in one buffer; larger ones are written from where they are. */
const gatheredBytesMax = 8 * 1024;
/** No more is added to a write that has so many bytes, or large frames. */
const writeBytesMax = 256 * 1024;
const largeFramesMax = 16;

/**
 * How many writes all connections of a process may make at once in a turn of the event loop. A write takes some 10 µs, however much it has: with a few,
 * CONTROL does not wait for the turn's end, and when much of it comes in a turn, the rest still shares one. One owner, the event loop.
 */
export class WritesAtOnce {
	readonly #perTurn: number;
	#left: number;
	#turnEnd: NodeJS.Immediate | null = null;

	constructor(perTurn: number) {
		this.#perTurn = perTurn;
		this.#left = perTurn;
	}

	/** Whether there may be one more in this turn, which counts. */
	take(): boolean {
		if (this.#left === 0) return false;
		this.#left--;
		this.#turnEnd ??= setImmediate(this.#onTurnEnd);
		return true;
	}

	readonly #onTurnEnd = (): void => {
		this.#turnEnd = null;
		this.#left = this.#perTurn;
	};
}

/**
 * Writes frames to one connection: a write per turn of the event loop, unless it must `hurry`, and one at a time. So under load many frames share a
 * system call, and a frame alone waits only for the end of the turn; CONTROL frames not even for that, unless many come in a turn. While the kernel
 * does not take a write, the rest waits where it is.
 *
 * One owner, its connection. Frames are released when the kernel has them, or by `stop`: until then the socket reads from their buffers.
 */
export class ConnectionWriter {
	readonly #parts: WriterParts;
	/** References until the kernel has their bytes, in [0, frameCount). The array keeps its memory: otherwise each write would make it once more. */
	readonly #frames: (Frame | null)[] = [];
	#frameCount = 0;
	#buffer: Buffer | null = null;
	#immediate: NodeJS.Immediate | null = null;
	#timer: NodeJS.Timeout | null = null;
	#isWriting = false;
	/** Writes that the kernel took at once, and whose callbacks have not come. */
	#taken = 0;
	/** Nothing more is written. */
	#isStopped = false;
	/** What is under way is still written. */
	#isFinishing = false;
	/** Its frames were reported. */
	#isReported = false;

	constructor(parts: WriterParts) {
		this.#parts = parts;
	}

	/** Whether a write is under way or will follow. */
	get isBusy(): boolean {
		return this.#isWriting || this.#immediate !== null || this.#timer !== null;
	}

	/** Whether what waits, waits for bandwidth. */
	get isThrottled(): boolean {
		return this.#timer !== null;
	}

	/** Something waits to be written. */
	wake(): void {
		if (!this.isBusy && !this.#isStopped) this.#immediate = setImmediate(this.#write);
	}

	/** Something waits that should be written at once, with what waits before it. It is, unless the kernel has not taken the write before. */
	wakeAtOnce(): void {
		if (this.#isWriting || this.#timer !== null || this.#isStopped) return;
		if (!this.#parts.atOnce.take()) this.wake();
		else if (this.#immediate !== null) this.hurry();
		else this.#write();
	}

	/** Writes in this turn, if the kernel has taken the write before: many frames have come in it, and their queue would be full. */
	hurry(): void {
		if (this.#immediate === null) return;
		clearImmediate(this.#immediate);
		this.#write();
	}

	/**
	 * Writes no more than what is under way, which the socket goes on to give to the kernel.
	 * @returns frames that the kernel may not have taken, each with one more reference, which is the caller's.
	 */
	finish(): Frame[] {
		this.end();
		this.#isReported = true;
		const frames = this.#frames.slice(0, this.#frameCount) as Frame[];
		for (const frame of frames) frame.retain();
		return frames;
	}

	/** Like `finish`, but frames that the kernel has not taken until `stop` are returned by that. */
	end(): void {
		this.#clear();
		this.#isFinishing = true;
	}

	/** The socket is destroyed in this turn. @returns frames that the kernel may not have taken, with their references; none that `finish` returned. */
	stop(): Frame[] {
		this.#clear();
		// The buffer is not given back: the socket may still read from it.
		this.#buffer = null;
		const frames = this.#frames.slice(0, this.#frameCount) as Frame[];
		this.#frames.length = 0;
		this.#frameCount = 0;
		this.#isFinishing = false;
		if (!this.#isReported) return frames;
		for (const frame of frames) frame.release();
		return [];
	}

	#clear(): void {
		this.#isStopped = true;
		if (this.#immediate !== null) clearImmediate(this.#immediate);
		if (this.#timer !== null) clearTimeout(this.#timer);
		this.#immediate = null;
		this.#timer = null;
	}

	readonly #write = (): void => {
		this.#immediate = null;
		this.#timer = null;
		const { backendId, socket, counts, rate, next, nowMs } = this.#parts;
		const now = nowMs();
		const waitMs = rate.waitMs(now);
		if (waitMs > 0) {
			this.#timer = setTimeout(this.#write, Math.ceil(waitMs));
			return;
		}
		let bytes = 0;
		let begun = 0;
		let at = 0;
		let large = 0;
		// Whatever `next` may wake must not write into the same buffer.
		this.#isWriting = true;
		// A write takes all pieces in one system call.
		socket.cork();
		while (bytes < writeBytesMax && large < largeFramesMax && spareBufferBytes - at >= gatheredBytesMax) {
			const outgoing = next();
			if (outgoing === null) break;
			const size = sizeOf(outgoing);
			counts.sentFrames++;
			bytes += size;
			if (outgoing instanceof Frame) this.#frames[this.#frameCount++] = outgoing;
			if (size > gatheredBytesMax) {
				const isShared = outgoing instanceof Frame && outgoing.backendId !== backendId;
				if (isShared) {
					this.#buffer ??= this.#parts.spare.take();
					at = encodeFrameHeader(this.#buffer, at, outgoing.length, outgoing.clientId, backendId);
				}
				if (at > begun) socket.write(this.#buffer!.subarray(begun, at));
				begun = at;
				large++;
				if (isShared) socket.write(outgoing.bytes.subarray(Frame.payloadAt, outgoing.end));
				else socket.write(outgoing instanceof Frame ? outgoing.wire() : outgoing);
			} else {
				this.#buffer ??= this.#parts.spare.take();
				if (outgoing instanceof Frame) {
					outgoing.copyWire(this.#buffer, at);
					writeU32(this.#buffer, at + FrameLayout.backendOffset, backendId);
				} else this.#buffer.set(outgoing, at);
				at += size;
			}
			rate.take(size, now);
			if (rate.waitMs(now) > 0) break;
		}
		this.#isWriting = bytes > 0;
		if (bytes > 0) {
			counts.sentBytes += bytes;
			counts.writes++;
			// Empty when the last frame was large: its callback comes after all others.
			socket.write(at > begun ? this.#buffer!.subarray(begun, at) : nothing, this.#onWritten);
		}
		socket.uncork();
		// Callbacks come only after this turn, or late in it: what comes meanwhile can be written at its end.
		if (this.#isWriting && socket.writableLength === 0 && socket.errored === null && !this.#isStopped) {
			this.#taken++;
			this.#letGo();
		}
	};

	readonly #onWritten = (error?: Error | null): void => {
		// The connection is about to end: its owner takes the frames by `stop`.
		if ((this.#isStopped && !this.#isFinishing) || error) return;
		if (this.#taken > 0) this.#taken--;
		else this.#letGo();
		if (!this.#isFinishing) this.#parts.onWritten();
	};

	/** The kernel has what was written. */
	#letGo(): void {
		this.#isWriting = false;
		for (let index = 0; index < this.#frameCount; index++) {
			this.#frames[index]!.release();
			this.#frames[index] = null;
		}
		this.#frameCount = 0;
		if (this.#buffer !== null) this.#parts.spare.give(this.#buffer);
		this.#buffer = null;
	}
}

const nothing = new Uint8Array(0);
