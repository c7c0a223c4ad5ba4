/**
 * Finds where the frames of a WebSocket end (RFC 6455, section 5.2), whatever they contain. Between two of them another one may be put in. It stores
 * nothing but what it has yet to see of a frame.
 */
export class FrameEnds {
	/** Bytes of the frame's header that have come. */
	#headerSeen = 0;
	/** Length of the header; it is known after its second byte. */
	#headerBytes = 2;
	/** Bytes of the field that has the length of the payload. */
	#lengthBytes = 0;
	/** As much of it as has come. */
	#payloadLength = 0;
	#payloadLeft = 0;

	/** No frame has begun that has not ended. */
	get isBetween(): boolean {
		return this.#headerSeen === 0 && this.#payloadLeft === 0;
	}

	/** @returns where the last frame ends that ends in these bytes; 0 = none does. */
	push(bytes: Uint8Array): number {
		let lastEnd = 0;
		for (let at = 0; at < bytes.length; ) {
			if (this.#payloadLeft > 0) {
				const taken = Math.min(this.#payloadLeft, bytes.length - at);
				this.#payloadLeft -= taken;
				at += taken;
			} else this.#header(bytes[at++]!);
			if (this.isBetween) lastEnd = at;
		}
		return lastEnd;
	}

	#header(byte: number): void {
		const index = this.#headerSeen++;
		if (index === 1) {
			const length = byte & 0x7f;
			this.#lengthBytes = length === 127 ? 8 : length === 126 ? 2 : 0;
			this.#headerBytes = 2 + this.#lengthBytes + ((byte & 0x80) === 0 ? 0 : 4);
			this.#payloadLength = this.#lengthBytes === 0 ? length : 0;
		} else if (index > 1 && index < 2 + this.#lengthBytes) this.#payloadLength = this.#payloadLength * 256 + byte;
		if (index < 1 || this.#headerSeen < this.#headerBytes) return;
		this.#headerSeen = 0;
		this.#payloadLeft = this.#payloadLength;
	}
}
