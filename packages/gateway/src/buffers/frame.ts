import { encodeFrameHeader, knownClass, readU32 } from "../frames/frame-codec.ts";
import { FrameClass, FrameLayout } from "../frames/frame-descriptor.ts";
import type { BufferShare } from "./buffer-share.ts";
import { BufferViews, type ViewBudget } from "./buffer-views.ts";

/** Where frames come from and go back to. */
export interface FrameOwner {
	/** The last reference is gone. */
	takeBack(frame: Frame): void;
}

/**
 * A frame in a pooled buffer, with a count of its references. The buffer has the frame as it goes over TCP, and so also the WebSocket
 * message, which is the same without its first four bytes: whatever way a frame leaves, nothing is copied or made for it.
 *
 * ```
 *      0      4                            16                16 + length
 *      +------+----------------------------+-----------------+---------
 *      | free | length, client, backend    | payload         | free
 *      +------+----------------------------+-----------------+---------
 * ```
 * Used by one thread. Who takes a frame from the pool has its first reference. Who keeps a frame beyond the call that it came with calls
 * `retain`; each `retain`, and the first reference, needs one `release`. After its last release a frame belongs to the pool again: its
 * bytes and views change.
 */
export class Frame {
	/** Whole buffer. Use `payloadAt`, `end`. */
	readonly bytes: Buffer;
	/** Bytes of the payload. */
	length = 0;
	/** The class in the payload's first byte, once `seal` was called. */
	frameClass: FrameClass = FrameClass.LINK;
	/** When it came, in milliseconds of the caller's clock. It begins as a fraction so that V8 stores others without making objects. */
	receivedMs = 0.5;

	/** Only the pool uses these. */
	readonly owner: FrameOwner;
	/** The next ones in a list of free frames. */
	nextFree: Frame | null = null;
	previousFree: Frame | null = null;
	/** Whose shares its buffer counts to: of the connection that it came on or goes to, and of its client. */
	connectionShare: BufferShare | null = null;
	clientShare: BufferShare | null = null;

	#references = 0;
	readonly #messages: BufferViews;
	readonly #wires: BufferViews;

	static readonly headerAt = 4;
	static readonly payloadAt = Frame.headerAt + FrameLayout.headerBytes;

	constructor(bytes: Buffer, owner: FrameOwner, views: ViewBudget, keepsViews: boolean) {
		this.bytes = bytes;
		this.owner = owner;
		this.#messages = new BufferViews(bytes, Frame.headerAt + FrameLayout.clientOffset, views, keepsViews);
		this.#wires = new BufferViews(bytes, Frame.headerAt, views, keepsViews);
	}

	get references(): number {
		return this.#references;
	}

	/** One from 2^31 on is an object for V8, unless the caller is compiled together with this. */
	get clientId(): number {
		return readU32(this.bytes, Frame.headerAt + FrameLayout.clientOffset);
	}

	get backendId(): number {
		return readU32(this.bytes, Frame.headerAt + FrameLayout.backendOffset);
	}

	/** Offset of the byte after the payload. */
	get end(): number {
		return Frame.payloadAt + this.length;
	}

	/** The longest payload that its buffer takes. */
	get lengthMax(): number {
		return this.bytes.length - Frame.payloadAt;
	}

	/** Bytes that it takes on TCP. */
	get wireBytes(): number {
		return FrameLayout.headerBytes + this.length;
	}

	/** Only the pool calls this. */
	start(length: number): void {
		this.length = length;
		this.#references = 1;
		this.receivedMs = 0;
	}

	/** Only the pool calls this: the buffer is given up. */
	forgetViews(): void {
		this.#messages.clear();
		this.#wires.clear();
	}

	retain(): void {
		if (this.#references <= 0) throw new Error("a frame was retained after its last release");
		this.#references++;
	}

	/** @throws Error for a frame that has no reference left: a broken invariant, since another frame may be in its buffer. */
	release(): void {
		if (this.#references <= 0) throw new Error("a frame was released twice");
		if (--this.#references === 0) this.owner.takeBack(this);
	}

	/** Writes the header and notes the class. The payload must be there, or at least its first byte. */
	seal(clientId: number, backendId: number): void {
		encodeFrameHeader(this.bytes, Frame.headerAt, this.length, clientId, backendId);
		this.readClass();
	}

	/** Notes the class of a frame whose header came with its payload. */
	readClass(): void {
		const frameClass = knownClass(this.bytes[Frame.payloadAt + FrameLayout.classOffset]!);
		if (frameClass < 0) throw new Error("frames of an unknown class are dropped before they are taken");
		this.frameClass = frameClass as FrameClass;
	}

	/** Fills the payload, from its start. */
	fill(payload: Buffer, from = 0): void {
		payload.copy(this.bytes, Frame.payloadAt, from, from + this.length);
	}

	/** The WebSocket message. Valid until the last release. Costs nothing if this buffer had a frame of this length lately. */
	message(): Uint8Array {
		return this.#messages.to(this.end);
	}

	/** The frame as it goes over TCP. Like `message`. For small frames `copyWire` into a common buffer saves system calls. */
	wire(): Uint8Array {
		return this.#wires.to(this.end);
	}

	/** Copies the frame as it goes over TCP, without making a view. @returns the offset after it. */
	copyWire(into: Buffer, at: number): number {
		this.bytes.copy(into, at, Frame.headerAt, Frame.payloadAt + this.length);
		return at + FrameLayout.headerBytes + this.length;
	}
}
