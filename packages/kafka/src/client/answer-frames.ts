import type { AnswerBuffers } from "./answer-buffers.ts";

/** Gets an answer of Kafka's protocol: `size(4) | correlation id(4) | body`. `frame` is a view of `buffer` from its first byte. */
type FrameVisitor = (frame: Buffer, buffer: Buffer) => void;

const sizeBytes = 4;
/** Longest valid answer. A batch has at most `message.max.bytes`, and all other answers are far smaller. */
export const frameBytesMax: number = 256 * 1024 * 1024;

/**
 * Splits what a broker sends into complete answers without copying: an answer is read from the buffer that the kernel wrote it to.
 * **One per connection.** Each call of `visit` passes ownership of the buffer.
 */
export class AnswerFrames {
	readonly #buffers: AnswerBuffers;
	readonly #visit: FrameVisitor;
	#buffer: Buffer;
	#filled = 0;

	constructor(buffers: AnswerBuffers, visit: FrameVisitor) {
		this.#buffers = buffers;
		this.#visit = visit;
		this.#buffer = buffers.take(sizeBytes);
	}

	/** The place to write the next bytes to. Never empty. */
	room(): Buffer {
		return this.#buffer.subarray(this.#filled);
	}

	/** Call after writing `bytes` bytes to `room()`. @throws when the announced size of an answer is not valid. */
	written(bytes: number): void {
		this.#filled += bytes;
		while (this.#filled >= sizeBytes) {
			const end = sizeBytes + this.#buffer.readInt32BE(0);
			if (end < 2 * sizeBytes || end > frameBytesMax)
				throw new Error(`an answer of ${end - sizeBytes} bytes: the peer does not speak Kafka's protocol`);
			if (end > this.#filled) {
				if (end > this.#buffer.length) this.#continueIn(this.#buffers.take(end), 0);
				return;
			}
			const buffer = this.#buffer;
			// The buffer goes with the answer, so bytes after it (rarely any) move to another one.
			this.#continueIn(this.#buffers.take(Math.max(this.#filled - end, sizeBytes)), end);
			this.#visit(buffer.subarray(0, end), buffer);
		}
	}

	#continueIn(next: Buffer, from: number): void {
		this.#buffer.copy(next, 0, from, this.#filled);
		this.#filled -= from;
		this.#buffer = next;
	}
}
