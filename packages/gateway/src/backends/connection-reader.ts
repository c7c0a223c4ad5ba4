import type { Frame } from "../buffers/frame.ts";
import type { Bandwidth } from "../flow/bandwidth.ts";
import type { FrameClass } from "../frames/frame-descriptor.ts";
import { type FrameDecision, type FrameReader, type FrameSink, ReaderStatus } from "../frames/frame-reader.ts";
import type { LinkCounts } from "./link-counts.ts";
import { type SpareBuffers, spareBufferBytes } from "./spare-buffers.ts";
import type { TurnShare } from "./turn-share.ts";

export interface ReaderParts {
	readonly reader: FrameReader;
	readonly counts: LinkCounts;
	readonly rate: Bandwidth;
	readonly nowMs: () => number;
	readonly framesPerTurn: number;
	/** Instead of `framesPerTurn`, for connections that share a turn. */
	readonly share?: TurnShare | undefined;
	/** For what was read and is not handled; without, a new one each time. */
	readonly spare?: SpareBuffers | undefined;
	readonly begin: (frameClass: FrameClass, length: number, clientId: number) => FrameDecision;
	readonly onFrame: (frame: Frame) => void;
	/** For how many frames of a turn this one counts; without, each is one. */
	readonly workOf?: ((frame: Frame) => number) | undefined;
	/** The backend broke the rules about lengths. */
	readonly onFailed: (problem: string) => void;
	/** The socket is to be read again, after `read` has returned false. */
	readonly resume: () => void;
}

/**
 * Decides when a connection is read, and takes frames out of what was read. Reading stops while a frame waits for room or for a buffer,
 * the bandwidth is used up, or `framesPerTurn` frames, or its share of them, were handled in this turn of the event loop: a
 * connection does not delay others.
 *
 * One owner, its connection. Bound: bytes that were read and not handled when reading stopped, at most one buffer of the socket.
 */
export class ConnectionReader implements FrameSink {
	readonly #parts: ReaderParts;
	/** Bytes [from, to) that were read and are not handled. */
	#rest: Buffer | null = null;
	#from = 0;
	#to = 0;
	/** By what they count for. */
	#turnFrames = 0;
	/** The time of all frames of what is being handled. It begins as a fraction so that V8 stores others without making objects. */
	#handledMs = 0.5;
	/** It goes on in the next turn. */
	#hasNextTurn = false;
	/** For that, if it shares no turn. */
	#immediate: NodeJS.Immediate | null = null;
	#rateTimer: NodeJS.Timeout | null = null;
	/** A frame waits: for room, or for a buffer. */
	#waits: "room" | "buffer" | null = null;
	#isStopped = false;
	/** `read` has returned false. */
	#isSocketStopped = false;

	constructor(parts: ReaderParts) {
		this.#parts = parts;
	}

	/** Whether the backend cannot be heard because of what waits here, and not because it is silent. */
	get isHeld(): boolean {
		return this.#waits !== null || this.#rateTimer !== null;
	}

	/** Whether a frame has come in part, and nothing for so long, though it would have been read. */
	isStalled(nowMs: number, timeoutMs: number): boolean {
		return !this.#parts.reader.isBetweenFrames && !this.#isSocketStopped && nowMs - this.#handledMs >= timeoutMs;
	}

	/** bytes[from … to) were received. They are not kept. @returns whether to read on; if not, `resume` is called when it may. */
	read(bytes: Buffer, to: number, from = 0): boolean {
		const { counts, rate, nowMs } = this.#parts;
		const length = to - from;
		counts.receivedBytes += length;
		const now = nowMs();
		rate.take(length, now);
		this.#handledMs = now;
		const waitMs = rate.waitMs(now);
		if (waitMs > 0) {
			counts.readingStopped.bandwidth++;
			this.#rateTimer ??= setTimeout(this.#onRate, Math.ceil(waitMs));
		}
		const at = this.#handle(bytes, from, to);
		if (at < to) this.#keep(bytes, at, to);
		this.#isSocketStopped = !this.#mayRead;
		return !this.#isSocketStopped;
	}

	/** Asks again about a frame that waits for room. */
	resume(): void {
		if (this.#waits === "room") this.#waits = null;
		this.#continueSoon();
	}

	/** Buffers came back. */
	buffersFreed(): void {
		if (this.#waits !== "buffer") return;
		this.#waits = null;
		this.#continueSoon();
	}

	stop(): void {
		this.#isStopped = true;
		if (this.#immediate !== null) clearImmediate(this.#immediate);
		if (this.#rateTimer !== null) clearTimeout(this.#rateTimer);
		this.#immediate = null;
		this.#rateTimer = null;
		this.#endTurn();
		// It is not given back: it may be what is being handled.
		this.#rest = null;
		this.#parts.reader.close();
	}

	begin(frameClass: FrameClass, length: number, clientId: number): FrameDecision {
		return this.#parts.begin(frameClass, length, clientId);
	}

	end(frame: Frame): boolean {
		const { counts, share, workOf } = this.#parts;
		counts.receivedFrames++;
		if (this.#turnFrames === 0) share?.join();
		const work = workOf === undefined ? 1 : workOf(frame);
		this.#turnFrames += work;
		share?.handled(work);
		frame.receivedMs = this.#handledMs;
		if (!this.#hasNextTurn) this.#nextTurn();
		this.#parts.onFrame(frame);
		return this.#mayHandle;
	}

	get #turnFramesMax(): number {
		return this.#parts.share?.frames ?? this.#parts.framesPerTurn;
	}

	get #mayHandle(): boolean {
		return !this.#isStopped && this.#waits === null && this.#turnFrames < this.#turnFramesMax;
	}

	get #mayRead(): boolean {
		return this.#mayHandle && this.#from === this.#to && this.#rateTimer === null;
	}

	#endTurn(): void {
		if (this.#turnFrames > 0) this.#parts.share?.leave();
		this.#turnFrames = 0;
	}

	/** @returns up to where it has come. */
	#handle(bytes: Buffer, from: number, to: number): number {
		if (!this.#mayHandle) return from;
		const { reader, counts, onFailed } = this.#parts;
		const at = reader.push(bytes, from, to, this);
		if (this.#isStopped) return to;
		switch (reader.status) {
			case ReaderStatus.waiting:
				this.#waits = "room";
				counts.readingStopped.paused++;
				break;
			case ReaderStatus.starved:
				this.#waits = "buffer";
				counts.readingStopped.buffer++;
				break;
			case ReaderStatus.failed:
				onFailed(reader.problem === "empty" ? "a frame of no bytes" : `a frame of ${reader.problemLength} bytes`);
				break;
			case ReaderStatus.stopped:
				if (this.#turnFrames >= this.#turnFramesMax) counts.readingStopped.turn++;
				break;
			case ReaderStatus.hungry:
				break;
			default:
				reader.status satisfies never;
		}
		return at;
	}

	#keep(bytes: Buffer, from: number, to: number): void {
		const length = to - from;
		const { spare } = this.#parts;
		this.#rest = spare === undefined || length > spareBufferBytes ? Buffer.allocUnsafeSlow(length) : spare.take();
		bytes.copy(this.#rest, 0, from, to);
		this.#from = 0;
		this.#to = length;
	}

	/** All of it has been handled. */
	#letGo(): void {
		if (this.#rest?.length === spareBufferBytes) this.#parts.spare?.give(this.#rest);
		this.#rest = null;
	}

	readonly #onRate = (): void => {
		this.#rateTimer = null;
		const { rate, nowMs } = this.#parts;
		const waitMs = rate.waitMs(nowMs());
		if (waitMs > 0) this.#rateTimer = setTimeout(this.#onRate, Math.ceil(waitMs));
		else this.#continueSoon();
	};

	/** Not within the call that made room: it may come from a callback of this connection. */
	#continueSoon(): void {
		if (!this.#isStopped && !this.#hasNextTurn) this.#nextTurn();
	}

	#nextTurn(): void {
		const { share } = this.#parts;
		this.#hasNextTurn = true;
		if (share === undefined) this.#immediate = setImmediate(this.#onImmediate);
		else share.next(this);
	}

	readonly #onImmediate = (): void => {
		this.#immediate = null;
		this.takeTurn();
	};

	/** Goes on with what was read. Called in the next turn, if it has asked for one. */
	takeTurn(): void {
		this.#hasNextTurn = false;
		if (this.#isStopped) return;
		this.#endTurn();
		// Without bytes, too: a frame may wait whose header has been read.
		if (this.#isSocketStopped) {
			this.#handledMs = this.#parts.nowMs();
			this.#from = this.#handle(this.#rest ?? nothing, this.#from, this.#to);
		}
		if (!this.#mayRead) return;
		this.#letGo();
		// They are offsets in what is no longer there.
		this.#from = 0;
		this.#to = 0;
		if (!this.#isSocketStopped) return;
		this.#isSocketStopped = false;
		this.#parts.resume();
	}
}

const nothing = Buffer.alloc(0);
