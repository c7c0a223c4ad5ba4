import { controlBytesMax, Opcode } from "./frames.ts";

/** What a parser reports. `bytes` is the reader's own buffer: valid only during the call. */
interface FrameHandler {
	/** A whole message, its fragments joined. UTF-8 is not checked. */
	message(opcode: typeof Opcode.text | typeof Opcode.binary, bytes: Buffer, start: number, end: number): void;
	control(opcode: typeof Opcode.close | typeof Opcode.ping | typeof Opcode.pong, bytes: Buffer, start: number, end: number): void;
}

/** The other side broke RFC 6455; the connection can not be read on. */
export class FrameError extends Error {
	constructor(message: string) {
		super(message);
		this.name = "FrameError";
	}
}

const headBytesMax = 10;

/**
 * The client's side of RFC 6455: splits what a server sends into messages and control frames, wherever the reads were cut.
 * One per connection. Frames that lie whole in a read are reported in place, without a copy or an allocation; only a frame
 * that is cut is put together in a buffer of the connection's own, bounded by `messageBytesMax`.
 */
export class FrameParser {
	readonly #handler: FrameHandler;
	readonly #messageBytesMax: number;
	/** The beginning of a frame whose end has not come. */
	#cut: Buffer | null = null;
	#cutBytes = 0;
	/** Payloads of the fragments of a message whose last has not come; opcode 0 = no message is open. */
	#fragments: Buffer[] = [];
	#fragmentsBytes = 0;
	#fragmentsOpcode: 0 | typeof Opcode.text | typeof Opcode.binary = 0;

	constructor(handler: FrameHandler, messageBytesMax = 1 << 20) {
		this.#handler = handler;
		this.#messageBytesMax = messageBytesMax;
	}

	/** Takes `bytes[start … end)`. @throws FrameError; the parser must not be used after that. */
	push(bytes: Buffer, start: number, end: number): void {
		let at = start;
		if (this.#cutBytes > 0) {
			at = this.#completeCut(bytes, at, end);
			if (this.#cutBytes > 0) return;
		}
		while (at < end) {
			const frameBytes = this.#frameBytes(bytes, at, end);
			if (frameBytes === 0 || at + frameBytes > end) {
				this.#keep(bytes, at, end, Math.max(frameBytes, headBytesMax));
				return;
			}
			this.#frame(bytes, at, frameBytes);
			at += frameBytes;
		}
	}

	/** True between frames and between messages: nothing of an unfinished one is held. */
	get atBoundary(): boolean {
		return this.#cutBytes === 0 && this.#fragmentsOpcode === 0;
	}

	/** Length of the frame at `at` with its head, or 0 when its head is not there yet. Checks the head. */
	#frameBytes(bytes: Buffer, at: number, end: number): number {
		if (end - at < 2) return 0;
		const first = bytes[at];
		const second = bytes[at + 1];
		if ((first & 0x70) !== 0) throw new FrameError("a reserved bit is set, and no extension was agreed on");
		if ((second & 0x80) !== 0) throw new FrameError("a frame from the server is masked");
		const opcode = first & 0x0f;
		if (opcode > 10 || (opcode > 2 && opcode < 8)) throw new FrameError(`opcode ${opcode} is reserved`);
		if (opcode >= 8 && (first & 0x80) === 0) throw new FrameError("a control frame is fragmented");
		if (opcode >= 8 && second > controlBytesMax) throw new FrameError(`a control frame is longer than ${controlBytesMax} bytes`);
		if (second < 126) return 2 + (opcode < 8 ? this.#bounded(second) : second);
		if (second === 126) {
			if (end - at < 4) return 0;
			const length = bytes.readUInt16BE(at + 2);
			if (length < 126) throw new FrameError("a length is not written in its shortest form");
			return this.#bounded(length) + 4;
		}
		if (end - at < headBytesMax) return 0;
		const length = bytes.readUInt32BE(at + 2) * 2 ** 32 + bytes.readUInt32BE(at + 6);
		if (length < 65_536) throw new FrameError("a length is not written in its shortest form");
		return this.#bounded(length) + headBytesMax;
	}

	#bounded(length: number): number {
		if (length + this.#fragmentsBytes > this.#messageBytesMax)
			throw new FrameError(`a message of ${length + this.#fragmentsBytes} bytes is longer than ${this.#messageBytesMax}`);
		return length;
	}

	#keep(bytes: Buffer, start: number, end: number, capacity: number): void {
		if (this.#cut === null || this.#cut.length < capacity) {
			const wider = Buffer.allocUnsafeSlow(Math.max(256, capacity));
			if (this.#cutBytes > 0) wider.set(this.#cut!.subarray(0, this.#cutBytes));
			this.#cut = wider;
		}
		if (end === start) return;
		bytes.copy(this.#cut, this.#cutBytes, start, end);
		this.#cutBytes += end - start;
	}

	/** Goes on with the kept frame; returns how far it read. `#cutBytes` is 0 afterwards when the frame was completed. */
	#completeCut(bytes: Buffer, start: number, end: number): number {
		let at = start;
		let frameBytes = this.#frameBytes(this.#cut!, 0, this.#cutBytes);
		while (frameBytes === 0) {
			if (at === end) return at;
			this.#keep(bytes, at, at + 1, headBytesMax);
			at++;
			frameBytes = this.#frameBytes(this.#cut!, 0, this.#cutBytes);
		}
		const missing = Math.min(frameBytes - this.#cutBytes, end - at);
		this.#keep(bytes, at, at + missing, frameBytes);
		at += missing;
		if (this.#cutBytes === frameBytes) {
			this.#cutBytes = 0;
			this.#frame(this.#cut!, 0, frameBytes);
		}
		return at;
	}

	#frame(bytes: Buffer, at: number, frameBytes: number): void {
		const first = bytes[at];
		const short = bytes[at + 1];
		const start = at + (short < 126 ? 2 : short === 126 ? 4 : headBytesMax);
		const end = at + frameBytes;
		const opcode = (first & 0x0f) as Opcode;
		if (opcode === Opcode.close || opcode === Opcode.ping || opcode === Opcode.pong) {
			this.#handler.control(opcode, bytes, start, end);
			return;
		}
		if (opcode === Opcode.continuation) {
			if (this.#fragmentsOpcode === 0) throw new FrameError("a continuation without a message that it continues");
		} else if (this.#fragmentsOpcode !== 0) throw new FrameError("a new message begins inside a fragmented one");
		else if ((first & 0x80) !== 0) {
			this.#handler.message(opcode, bytes, start, end);
			return;
		} else this.#fragmentsOpcode = opcode;

		// A control frame between fragments is not counted against the message, so this is asked again here.
		this.#bounded(end - start);
		if (end > start) this.#fragments.push(Buffer.from(bytes.subarray(start, end)));
		this.#fragmentsBytes += end - start;
		if ((first & 0x80) !== 0) this.#joined(this.#fragmentsOpcode as typeof Opcode.text | typeof Opcode.binary);
	}

	#joined(opcode: typeof Opcode.text | typeof Opcode.binary): void {
		const whole = Buffer.concat(this.#fragments);
		this.#fragments = [];
		this.#fragmentsBytes = 0;
		this.#fragmentsOpcode = 0;
		this.#handler.message(opcode, whole, 0, whole.length);
	}
}
