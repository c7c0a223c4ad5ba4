import type { AnswerBuffers } from "./answer-buffers.ts";

/** An answer of Kafka's protocol: `size(4) | correlation id(4) | body`. `frame` lies in `buffer`, from its first byte on. */
export type FrameVisitor = (frame: Buffer, buffer: Buffer) => void;

const sizeBytes = 4;
/** No broker answers with more: a batch is at most `message.max.bytes`, and nothing else comes near. */
export const frameBytesMax: number = 256 * 1024 * 1024;

/**
 * Cuts what a broker sends into answers, each whole and in one piece: the kernel writes into the buffer that the answer is then
 * read from. **One per connection.** Each `visit` gets the buffer as well, and owns it from then on.
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

	/** Where the next bytes are to be written. Never empty. */
	room(): Buffer {
		return this.#buffer.subarray(this.#filled);
	}

	/** So many bytes were written there. @throws when they announce an answer that no broker sends. */
	written(bytes: number): void {
		this.#filled += bytes;
		while (this.#filled >= sizeBytes) {
			const end = sizeBytes + this.#buffer.readInt32BE(0);
			if (end < 2 * sizeBytes || end > frameBytesMax)
				throw new Error(`an answer of ${end - sizeBytes} bytes: this is not Kafka's protocol`);
			if (end > this.#filled) {
				if (end > this.#buffer.length) this.#goOnIn(this.#buffers.take(end), 0);
				return;
			}
			const buffer = this.#buffer;
			// What follows the answer, seldom more than nothing, moves: the buffer goes with the answer.
			this.#goOnIn(this.#buffers.take(Math.max(this.#filled - end, sizeBytes)), end);
			this.#visit(buffer.subarray(0, end), buffer);
		}
	}

	#goOnIn(next: Buffer, from: number): void {
		this.#buffer.copy(next, 0, from, this.#filled);
		this.#filled -= from;
		this.#buffer = next;
	}
}
