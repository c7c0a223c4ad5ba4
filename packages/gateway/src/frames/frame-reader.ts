import type { BufferPool, OlderVideo } from "../buffers/buffer-pool.ts";
import type { BufferShare } from "../buffers/buffer-share.ts";
import { Frame } from "../buffers/frame.ts";
import { knownClass, mayDrop, readU32 } from "./frame-codec.ts";
import { type FrameClass, FrameLayout } from "./frame-descriptor.ts";

/** What becomes of a frame whose header and class have arrived. */
export const FrameDecision = {
	take: 0,
	/** Its payload is read over; who decides so counts it. */
	skip: 1,
	/** The reader stops before the payload, and asks again at the next `push`. */
	wait: 2,
} as const;
export type FrameDecision = (typeof FrameDecision)[keyof typeof FrameDecision];

export interface FrameSink {
	/** Decides about a frame, before it has a buffer. */
	begin(frameClass: FrameClass, length: number, clientId: number, backendId: number): FrameDecision;
	/**
	 * A whole frame, with its header as received. The reader releases it afterwards: who keeps it retains it.
	 * @returns false to stop after this frame.
	 */
	end(frame: Frame): boolean;
}

/** Why `push` has returned. */
export const ReaderStatus = {
	/** All bytes are read. */
	hungry: 0,
	/** `end` said stop. */
	stopped: 1,
	/** `begin` said wait. */
	waiting: 2,
	/** The pool had no buffer. */
	starved: 3,
	/** The connection is broken: see `problem`. */
	failed: 4,
} as const;
export type ReaderStatus = (typeof ReaderStatus)[keyof typeof ReaderStatus];

/** Counters of one reader, or of several together. */
export class ReaderCounters {
	/** Whole frames, and the bytes of their payloads. */
	frames = 0;
	bytes = 0;
	/** Frames of a class that there is not: dropped. */
	unknownClass = 0;
	/** VIDEO frames dropped because the pool had no buffer. */
	droppedWithoutBuffer = 0;
	/** How often a frame waited because the pool had no buffer. */
	starved = 0;
	/** Lengths of 0, and above the limit: each ends its connection. */
	empty = 0;
	tooLong = 0;
}

const headBytes = FrameLayout.headerBytes + FrameLayout.payloadBytesMin;
const Stage = { head: 0, decide: 1, body: 2, skip: 3 } as const;
type Stage = (typeof Stage)[keyof typeof Stage];

/**
 * Reads frames from the pieces in which TCP delivers them. One for each direction of a connection. Makes no object: the payload is
 * copied once, into a frame of the pool, and the bytes pushed are not kept.
 *
 * A long frame begins in a buffer for its first 256 KiB, and is copied into larger ones as it comes: what is only announced takes no memory. The
 * copies are at most 1.25 times as many bytes as the frame has.
 *
 * A frame is judged when its header and first payload byte are there. A length of 0 or above the limit fails the connection before
 * anything is taken. Frames of an unknown class are dropped. If the pool has no buffer, or none within the share, a VIDEO frame takes that of an older
 * one which waits, or is dropped if there is none, and any other waits (`starved`): then, as with `waiting` and `stopped`, the caller stops reading its
 * socket, keeps the bytes from the returned offset on, and later pushes them, even if there are none.
 */
export class FrameReader {
	readonly counters: ReaderCounters;
	/** Why it has failed. */
	problem: "empty" | "too_long" | null = null;
	/** The length that it has failed on. */
	problemLength = 0;

	readonly #pool: BufferPool;
	readonly #share: BufferShare | null;
	readonly #older: OlderVideo | null;
	#payloadBytesMax = 0;
	#status: ReaderStatus = ReaderStatus.hungry;
	#stage: Stage = Stage.head;
	/** Header and class of the frame that is being read. */
	readonly #head = Buffer.alloc(headBytes);
	#headFilled = 0;
	/** Of the payload; 0 until it has arrived and was found to be within the limits. */
	#length = 0;
	/** What has come of it; its length is what its buffer is for, which may be a part of the whole. */
	#frame: Frame | null = null;
	/** Bytes of the payload that are still to come. */
	#missing = 0;

	/** @param older where VIDEO waits that newer frames may take the buffers of. */
	constructor(
		pool: BufferPool,
		payloadBytesMax: number = FrameLayout.payloadBytesMaxDefault,
		counters: ReaderCounters = new ReaderCounters(),
		share: BufferShare | null = null,
		older: OlderVideo | null = null,
	) {
		this.#pool = pool;
		this.#share = share;
		this.#older = older;
		this.payloadBytesMax = payloadBytesMax;
		this.counters = counters;
	}

	get payloadBytesMax(): number {
		return this.#payloadBytesMax;
	}

	/** Applies to frames whose length has not arrived. @throws RangeError for more than the pool's buffers take. */
	set payloadBytesMax(bytes: number) {
		if (bytes > this.#pool.payloadBytesMax)
			throw new RangeError(`frames of up to ${bytes} bytes: the largest buffer takes ${this.#pool.payloadBytesMax}`);
		this.#payloadBytesMax = bytes;
	}

	get status(): ReaderStatus {
		return this.#status;
	}

	/** Whether no part of a frame has been read: a connection that ends here has lost nothing. */
	get isBetweenFrames(): boolean {
		return this.#stage === Stage.head && this.#headFilled === 0;
	}

	/** Reads bytes[from … to). @returns up to where; `status` says why. */
	push(bytes: Buffer, from: number, to: number, sink: FrameSink): number {
		if (this.#status === ReaderStatus.failed) return from;
		this.#status = ReaderStatus.hungry;
		let at = from;
		for (;;) {
			switch (this.#stage) {
				case Stage.head: {
					if (this.#headFilled === 0 && to - at >= headBytes) {
						if (!this.#judge(bytes, at)) return at;
						if (this.#decide(bytes, at, sink)) {
							// From where it is, together with the payload.
							this.#missing = FrameLayout.headerBytes + this.#length;
							break;
						}
						bytes.copy(this.#head, 0, at, at + headBytes);
						this.#stage = Stage.decide;
						return at + headBytes;
					}
					const count = Math.min(headBytes - this.#headFilled, to - at);
					bytes.copy(this.#head, this.#headFilled, at, at + count);
					this.#headFilled += count;
					at += count;
					// The length is judged as soon as it is there, not when the class is: the rest may never come.
					if (this.#length === 0 && this.#headFilled >= FrameLayout.clientOffset && !this.#judge(this.#head, 0)) return at;
					if (this.#headFilled < headBytes) return at;
					this.#stage = Stage.decide;
					break;
				}
				case Stage.decide:
					if (!this.#decide(this.#head, 0, sink)) return at;
					this.#missing = this.#length - FrameLayout.payloadBytesMin;
					this.#frame?.bytes.set(this.#head, Frame.headerAt);
					break;
				case Stage.body: {
					const frame = this.#frame!;
					// Less than 0 while the header has not been copied.
					const arrived = this.#length - this.#missing;
					const count = Math.min(frame.length - arrived, to - at);
					bytes.copy(frame.bytes, Frame.payloadAt + arrived, at, at + count);
					this.#missing -= count;
					at += count;
					if (this.#missing === 0) {
						if (!this.#finish(sink)) return at;
					} else if (arrived + count < frame.length || !this.#grow(frame)) return at;
					break;
				}
				case Stage.skip: {
					const count = Math.min(this.#missing, to - at);
					this.#missing -= count;
					at += count;
					if (this.#missing > 0) return at;
					this.#nextFrame();
					break;
				}
			}
		}
	}

	/** Releases a frame that has come in part. Nothing is pushed afterwards. */
	close(): void {
		this.#letGo();
		this.#status = ReaderStatus.failed;
	}

	/** @param at where the frame begins in `bytes`. */
	#judge(bytes: Buffer, at: number): boolean {
		const length = readU32(bytes, at + FrameLayout.lengthOffset);
		if (length >= FrameLayout.payloadBytesMin && length <= this.#payloadBytesMax) {
			this.#length = length;
			return true;
		}
		this.problem = length < FrameLayout.payloadBytesMin ? "empty" : "too_long";
		this.problemLength = length;
		if (this.problem === "empty") this.counters.empty++;
		else this.counters.tooLong++;
		this.#status = ReaderStatus.failed;
		return false;
	}

	/**
	 * Chooses the next stage. False: stop here, and ask again.
	 * @param at where the header and the class are in `bytes`.
	 */
	#decide(bytes: Buffer, at: number, sink: FrameSink): boolean {
		const frameClass = knownClass(bytes[at + FrameLayout.headerBytes + FrameLayout.classOffset]!);
		if (frameClass < 0) {
			this.counters.unknownClass++;
			this.#stage = Stage.skip;
			return true;
		}
		const clientId = readU32(bytes, at + FrameLayout.clientOffset);
		const backendId = readU32(bytes, at + FrameLayout.backendOffset);
		const decision = sink.begin(frameClass as FrameClass, this.#length, clientId, backendId);
		if (this.#isClosed()) return false;
		if (decision === FrameDecision.wait) {
			this.#status = ReaderStatus.waiting;
			return false;
		}
		if (decision === FrameDecision.skip) {
			this.#stage = Stage.skip;
			return true;
		}
		const size = this.#pool.sizeFor(this.#length, FrameLayout.payloadBytesMin);
		const frame = this.#take(size, frameClass, clientId);
		if (frame === null) return this.#noBuffer(frameClass);
		frame.frameClass = frameClass as FrameClass;
		this.#frame = frame;
		this.#stage = Stage.body;
		return true;
	}

	/** Gives a frame that fills its buffer a larger one. False: stop here. */
	#grow(frame: Frame): boolean {
		const { frameClass } = frame;
		const arrived = this.#length - this.#missing;
		const size = this.#pool.sizeFor(this.#length, arrived);
		if (size <= frame.lengthMax) frame.length = size;
		else {
			const larger = this.#take(size, frameClass, frame.clientId);
			if (larger === null) {
				if (mayDrop(frameClass)) this.#letGo();
				return this.#noBuffer(frameClass);
			}
			frame.bytes.copy(larger.bytes, Frame.headerAt, Frame.headerAt, Frame.payloadAt + arrived);
			larger.readClass();
			frame.release();
			this.#frame = larger;
		}
		return true;
	}

	#take(size: number, frameClass: number, clientId: number): Frame | null {
		return mayDrop(frameClass)
			? this.#pool.takeVideo(this.#older, clientId, size, this.#share, null, this.#length)
			: this.#pool.take(size, this.#share, null, false, this.#length);
	}

	/** Drops VIDEO, and goes on after it. False, for any other class: it waits. */
	#noBuffer(frameClass: number): boolean {
		if (mayDrop(frameClass)) {
			this.counters.droppedWithoutBuffer++;
			this.#stage = Stage.skip;
			return true;
		}
		this.counters.starved++;
		this.#status = ReaderStatus.starved;
		return false;
	}

	/** Releases what has come of a frame. */
	#letGo(): void {
		this.#frame?.release();
		this.#frame = null;
	}

	/** Hands over the frame. False: stop after it. */
	#finish(sink: FrameSink): boolean {
		const frame = this.#frame!;
		this.#frame = null;
		this.counters.frames++;
		this.counters.bytes += frame.length;
		this.#nextFrame();
		try {
			const goesOn = sink.end(frame);
			if (this.#isClosed()) return false;
			if (!goesOn) this.#status = ReaderStatus.stopped;
			return goesOn;
		} finally {
			frame.release();
		}
	}

	/** The sink may have closed this reader. */
	#isClosed(): boolean {
		return this.#status === ReaderStatus.failed;
	}

	#nextFrame(): void {
		this.#stage = Stage.head;
		this.#headFilled = 0;
		this.#length = 0;
	}
}
